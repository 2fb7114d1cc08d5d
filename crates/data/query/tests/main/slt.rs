//! Runs the files of `tests/slt`.
//!
//! A record is `query` or `query project=N`, the SQL, `----`, and the rows with ` | ` between
//! values; or `error some words`, and SQL that must be refused with these words. Records are
//! separated by an empty line, `#` starts a comment.

use std::path::Path;

use crate::world::World;

#[tokio::test]
async fn all_files() {
    let world = World::open().await;
    let dir =
        Path::new(&std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests")).join("tests/slt");
    let mut files: Vec<_> =
        std::fs::read_dir(dir).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).expect("a file");
        for record in text.split("\n\n").map(str::trim).filter(|record| !record.is_empty()) {
            if let Err(found) = run(&world, record).await {
                let name = file.file_name().unwrap_or_default().to_string_lossy();
                wrong.push(format!("{name}:\n{record}\n==== got\n{found}\n"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} records differ\n\n{}", wrong.len(), wrong.join("\n"));
}

async fn run(world: &World, record: &str) -> Result<(), String> {
    let lines: Vec<&str> = record.lines().filter(|line| !line.starts_with('#')).collect();
    let Some((head, rest)) = lines.split_first() else { return Ok(()) };
    let body = rest.join("\n");
    if let Some(words) = head.strip_prefix("error ") {
        return match world.ask(1, &body).await {
            Err(error) if error.context.contains(words) => Ok(()),
            Err(error) => Err(format!("{:?}", error.context)),
            Ok(answer) => Err(shown(&crate::world::texts(&answer))),
        };
    }
    let project = head.split("project=").nth(1).and_then(|number| number.trim().parse().ok()).unwrap_or(1);
    let (sql, want) = body.split_once("----").ok_or("no ---- in the record")?;
    match world.ask(project, sql).await {
        Ok(answer) => {
            let found = shown(&crate::world::texts(&answer));
            if found == want.trim() { Ok(()) } else { Err(found) }
        }
        Err(error) => Err(format!("{error:?}")),
    }
}

fn shown(rows: &[Vec<String>]) -> String {
    rows.iter().map(|row| row.join(" | ").trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
