//! A damaged table is named, never answered around.

use std::{
    fs,
    path::{Path, PathBuf},
};

use query::Kind;

use crate::world::World;

fn files_of(dir: &Path, table: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("a folder") {
        let path = entry.expect("an entry").path();
        let text = path.to_string_lossy().into_owned();
        if path.is_dir() {
            files_of(&path, table, found);
        } else if text.ends_with(".parquet") && text.contains(&format!("/{table}/")) {
            found.push(path);
        }
    }
}

#[tokio::test]
async fn a_missing_or_cut_file_is_named() {
    for cut in [false, true] {
        let world = World::open().await;
        let mut files = Vec::new();
        files_of(world.dir.path(), "events", &mut files);
        for file in &files {
            if cut {
                fs::write(file, b"PAR1 nothing of use").expect("the file is cut");
            } else {
                fs::remove_file(file).expect("the file is gone");
            }
        }
        let error =
            world.ask(1, "SELECT max(distinct_id), max(properties) FROM events").await.expect_err("damaged");
        assert_eq!(error.kind, Kind::Corrupt, "{error:?}");
        assert!(files.iter().any(|file| error.context.contains(&*file.to_string_lossy())), "{error:?}");
        let problem = error.problem();
        assert_eq!((problem.family, error.status()), ("server_error", 500));
        assert!(!problem.detail.contains("parquet"), "paths stay inside");
        assert_eq!(
            world.rows(1, "SELECT count(*) FROM persons_current").await,
            [["2"]],
            "others still answer"
        );
    }
}
