//! `scripts/million`: a short run, in which a node is killed.

use std::process::Command;

#[test]
fn quick_million_loses_nothing_when_a_node_is_killed() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--locked", "--quiet", "--bench", "million", "--", "--quick"]);
    let output = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).output().expect("cargo");
    let (table, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{table}\n{log}");
    for row in [
        "| readers of one room | 300 |",
        "| readers of the node that is killed | 100 |",
        "| messages lost | 0 |",
        "| twice · out of order · gaps | 0 · 0 · 0 |",
    ] {
        assert!(table.contains(row), "no row {row:?} in\n{table}\n{log}");
    }
}
