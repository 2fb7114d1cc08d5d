use super::*;
use std::collections::BTreeSet;

#[test]
fn ids_are_positions_and_names_are_unique() {
    for def in TABLES {
        let names: BTreeSet<_> = def.columns.iter().map(|column| column.name).collect();
        assert_eq!(names.len(), def.columns.len(), "{}", def.name);
        for (position, column) in def.columns.iter().enumerate() {
            assert_eq!(column.id, position as i32 + 1, "{}.{}", def.name, column.name);
            assert!(column.doc.ends_with('.') || column.doc.ends_with("..."), "{}", column.doc);
        }
        assert_eq!(def.column("team_id").map(|column| column.kind), Some(Kind::Long));
        let time = def.column(def.partition.day_of).expect("time column");
        assert!(time.kind == Kind::Timestamp && time.required);
    }
}

#[test]
fn promoted_columns_follow_the_naming_rule() {
    for def in TABLES {
        for column in def.columns {
            match column.promoted_from {
                Some(property) => {
                    assert_eq!(column.name, format!("p_{}", property.trim_start_matches('$')));
                    assert!(!column.required && column.kind == Kind::Text);
                    assert_eq!(def.promoted(property).map(|found| found.id), Some(column.id));
                }
                None => assert!(!column.name.starts_with("p_"), "{}", column.name),
            }
        }
    }
}

#[test]
fn schemas_specs_and_orders_build() {
    for def in TABLES {
        let bound = def.bound().expect("bound");
        assert_eq!(bound.arrow.fields().len(), def.columns.len());
        for (field, column) in bound.arrow.fields().iter().zip(def.columns) {
            assert_eq!(field.metadata()["PARQUET:field_id"], column.id.to_string());
            assert_eq!(field.is_nullable(), !column.required);
        }
        assert_eq!(def.partition_spec().expect("spec").fields().len(), 2);
        assert_eq!(def.sort_order().expect("order").fields.len(), def.sort.len());
    }
}

#[test]
fn reference_names_every_column() {
    let text = reference();
    for def in TABLES {
        assert!(text.contains(&format!("## tenrec.{}\n", def.name)));
        for column in def.columns {
            let row = format!("| {} | `{}` | {} |", column.id, column.name, column.kind.label());
            assert!(text.contains(&row), "{row}");
        }
    }
}
