//! A declared table meets the table as it is stored.

use super::{COLUMNS_PROPERTY, TableDef};
use crate::{Error, Kind, Result, error::Context};
use arrow::datatypes::SchemaRef as ArrowSchema;
use iceberg::arrow::schema_to_arrow_schema;
use iceberg::spec::{NestedField, Schema, SchemaRef, TableMetadata, Type};
use std::sync::Arc;

/// The declared columns under the field ids the stored table gave them.
#[derive(Clone, Debug)]
pub struct Bound {
    /// The declaration.
    pub def: &'static TableDef,
    /// Declared columns with stored ids: what data files are written with.
    pub iceberg: SchemaRef,
    /// The same for Arrow, with `PARQUET:field_id` on every field.
    pub arrow: ArrowSchema,
}

/// What a stored table lacks.
#[derive(Debug)]
pub(crate) enum Fit {
    /// All declared columns exist.
    Bound(Box<Bound>),
    /// Columns from this position on must be added first.
    Missing(usize),
}

impl TableDef {
    /// Checks that a stored table holds what is declared.
    ///
    /// # Errors
    /// `Invalid` when a newer program wrote the table or when a column has another type.
    pub(crate) fn fit(&'static self, metadata: &TableMetadata) -> Result<Fit> {
        let name = self.name;
        let known = metadata.properties().get(COLUMNS_PROPERTY).and_then(|text| text.parse::<usize>().ok());
        if known.is_some_and(|known| known > self.columns.len()) {
            let text = format!("table {name} was written by a newer version of this program");
            return Err(Error::new(Kind::Invalid, text));
        }
        let stored = metadata.current_schema();
        let mut fields = Vec::with_capacity(self.columns.len());
        for (position, column) in self.columns.iter().enumerate() {
            let Some(field) = stored.field_by_name(column.name) else {
                if column.required {
                    let text = format!("table {name} lacks the required column {}", column.name);
                    return Err(Error::new(Kind::Invalid, text));
                }
                return Ok(Fit::Missing(position));
            };
            let kind = Type::Primitive(column.kind.iceberg());
            if *field.field_type != kind || field.required != column.required {
                let text = format!("column {name}.{} has another type than this program writes", column.name);
                return Err(Error::new(Kind::Invalid, text));
            }
            fields.push(NestedField::new(field.id, column.name, kind, column.required).into());
        }
        let foreign = stored.as_struct().fields().iter();
        if let Some(field) = foreign.filter(|field| self.column(&field.name).is_none()).find(|f| f.required) {
            let text = format!("table {name} requires the unknown column {}", field.name);
            return Err(Error::new(Kind::Invalid, text));
        }
        let iceberg = Schema::builder()
            .with_schema_id(stored.schema_id())
            .with_fields(fields)
            .build()
            .context(Kind::Bug, || format!("schema of {name}"))?;
        let arrow = schema_to_arrow_schema(&iceberg).context(Kind::Bug, || format!("schema of {name}"))?;
        Ok(Fit::Bound(Box::new(Bound { def: self, iceberg: Arc::new(iceberg), arrow: Arc::new(arrow) })))
    }

    /// The declaration with its own ids, as a new table has it.
    ///
    /// # Errors
    /// `Bug` when the declaration itself is inconsistent.
    pub fn bound(&'static self) -> Result<Bound> {
        let iceberg = self.iceberg_schema()?;
        let arrow =
            schema_to_arrow_schema(&iceberg).context(Kind::Bug, || format!("schema of {}", self.name))?;
        Ok(Bound { def: self, iceberg: Arc::new(iceberg), arrow: Arc::new(arrow) })
    }
}
