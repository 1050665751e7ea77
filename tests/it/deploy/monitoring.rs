//! The alerts for Prometheus and the dashboard for Grafana ask for metrics that a node has, and for all of which
//! docs/operations.md speaks. promtool, where it is installed, checks their expressions and runs the cases of the alerts.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

use crate::support::{
    Node,
    repository::{root, text},
};

/// What the files ask for and no node has: Prometheus makes the first ones itself, redis_exporter has the others.
const FOREIGN: [&str; 4] = ["up", "ALERTS", "redis_memory_used_bytes", "redis_memory_max_bytes"];

/// What stands for an interval or a choice in the expressions of the dashboard.
const VARIABLES: [(&str, &str); 3] = [("$__rate_interval", "5m"), ("$job", ".*"), ("$instance", ".*")];

/// Returns the expressions of the alerts.
fn alert_expressions() -> Vec<String> {
    let alerts = text("deploy/alerts.yml");
    alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ").map(str::to_owned)).collect()
}

/// Returns the expressions of the dashboard, without its variables.
fn dashboard_expressions() -> Vec<String> {
    fn collect(value: &Value, expressions: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(expression) = members.get("expr").and_then(Value::as_str) {
                    let plain = |text: String, (variable, value): (&str, &str)| text.replace(variable, value);
                    expressions.push(VARIABLES.into_iter().fold(expression.to_owned(), plain));
                }
                members.values().for_each(|member| collect(member, expressions));
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, expressions)),
            _ => {}
        }
    }
    let dashboard: Value = serde_json::from_str(&text("deploy/grafana.json")).expect("JSON");
    let mut expressions = Vec::new();
    collect(&dashboard, &mut expressions);
    expressions
}

/// Returns the names of metrics in a text, each with what its braces say, if there are any.
fn metrics_in(text: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut metrics = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic()) {
        rest = &rest[start..];
        let name = &rest[..rest.find(|c: char| !is_name(c)).unwrap_or(rest.len())];
        rest = &rest[name.len()..];
        let labels = rest.strip_prefix('{').and_then(|rest| Some(rest.split_once('}')?.0));
        // Labels and values are no metrics.
        rest = labels.map_or(rest, |labels| &rest[labels.len() + 2..]);
        if ["tiny_chat_", "process_", "redis_"].iter().any(|start| name.starts_with(start)) || name == "up" {
            metrics.push((name, labels.unwrap_or_default()));
        }
    }
    metrics
}

/// Starts a node that has every metric, and returns what it exports.
async fn scrape() -> String {
    let node = Node::start(&[("APP_KEYS", "shop:0123456789abcdef")]).await;
    node.post("lobby", "mason", "hi").await;
    node.get("/metrics").await.expect(200).text().to_owned()
}

/// Returns true if a node has a series with this name and, where the matchers name values, with these.
fn is_exported(scrape: &str, name: &str, labels: &str) -> bool {
    let wanted = labels.split(',').filter(|label| label.contains("=\"") && !label.contains("job=\""));
    let wanted: Vec<&str> = wanted.map(str::trim).collect();
    let is_series = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    scrape.lines().filter(is_series).any(|line| wanted.iter().all(|label| line.contains(label)))
}

#[tokio::test]
async fn alerts_and_dashboard_ask_for_metrics_that_exist() {
    let scrape = scrape().await;
    let expressions = [alert_expressions(), dashboard_expressions()].concat();
    assert!(expressions.len() > 40, "{expressions:?}");
    let mut asked = BTreeSet::new();
    for expression in &expressions {
        for (name, labels) in metrics_in(expression) {
            let exists = FOREIGN.contains(&name) || is_exported(&scrape, name, labels);
            assert!(exists, "no node exports {name}{{{labels}}}, for which {expression} asks");
            asked.insert(name);
        }
    }
    assert!(asked.len() > 20, "{asked:?}");
}

/// Returns the names of metrics in the words in backticks of a text.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split('`').skip(1).step_by(2);
    let names = words.flat_map(metrics_in).map(|(name, _)| name.to_owned());
    names.filter(|name| name != "process_").collect()
}

#[test]
fn dashboard_shows_every_metric_of_the_operators_page() {
    let operations = text("docs/operations.md");
    let (_, table) = operations.split_once("## Metrics").expect("the metrics");
    let (table, _) = table.split_once("\nAlert on").expect("their end");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `tiny_chat_")?.split('`').next());
    let dashboard = dashboard_expressions().join("\n");
    let names: Vec<&str> = rows.map(|row| row.split('{').next().unwrap_or_default()).collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        assert!(dashboard.contains(&format!("tiny_chat_{name}")), "no panel shows tiny_chat_{name}");
    }
}

#[test]
fn alerts_cover_what_the_operators_page_says() {
    let operations = text("docs/operations.md");
    let (_, paragraph) = operations.split_once("\nAlert on").expect("what to alert on");
    let paragraph = paragraph.split("\n\n").next().unwrap_or_default();
    let alerts = text("deploy/alerts.yml");
    let paging: Vec<&str> = alerts.split("- alert: ").filter(|alert| alert.contains("severity: page")).collect();
    let named = named(paragraph);
    assert!(named.len() >= 8, "{named:?}");
    for name in named {
        assert!(paging.iter().any(|alert| alert.contains(&name)), "no alert with severity page has {name}");
    }
    assert!(paging.iter().any(|alert| alert.contains("redis_memory_used_bytes")), "Redis' memory has no alert");
}

#[test]
fn every_alert_has_a_case_in_which_it_fires() {
    let (alerts, cases) = (text("deploy/alerts.yml"), text("deploy/alerts.test.yml"));
    let names: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let fires = format!("ALERTS{{alertname=\"{name}\", alertstate=\"firing\"");
        assert!(cases.contains(&fires), "deploy/alerts.test.yml has no case for {name}");
    }
}

/// Runs promtool with this input, or returns `None` where there is none.
fn promtool(arguments: &[&str], directory: &Path, input: &str) -> Option<Output> {
    let mut command = Command::new("promtool");
    command.args(arguments).current_dir(directory);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let Ok(mut child) = child else {
        eprintln!("promtool is not installed: the expressions were not checked");
        return None;
    };
    child.stdin.take().expect("its input").write_all(input.as_bytes()).expect("it reads");
    Some(child.wait_with_output().expect("its end"))
}

fn assert_fine(output: Option<Output>) {
    if let Some(output) = output {
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{stdout}{stderr}");
    }
}

#[test]
fn promtool_takes_the_alerts_and_their_cases() {
    let directory = root().join("deploy");
    assert_fine(promtool(&["check", "rules", "alerts.yml"], &directory, ""));
    assert_fine(promtool(&["test", "rules", "alerts.test.yml"], &directory, ""));
}

#[test]
fn promtool_takes_the_expressions_of_the_dashboard() {
    let rule = |(number, expression): (usize, String)| {
        format!("      - record: panel:{number}\n        expr: {}\n", Value::String(expression))
    };
    let rules: String = dashboard_expressions().into_iter().enumerate().map(rule).collect();
    let directory = tempfile::tempdir().expect("a directory");
    let rules = format!("groups:\n  - name: dashboard\n    rules:\n{rules}");
    fs::write(directory.path().join("rules.yml"), rules).expect("a file");
    assert_fine(promtool(&["check", "rules", "rules.yml"], directory.path(), ""));
}

#[tokio::test]
async fn promtool_takes_what_a_node_exports() {
    let scrape = scrape().await;
    assert_fine(promtool(&["check", "metrics"], root(), &scrape));
}
