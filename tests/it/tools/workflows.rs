//! What is in `.github/`: workflows that run only what they name and may do only what they need, and forms that ask for
//! what helps. `scripts/test` also has actionlint look at them.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::repository::{File, files, root, text};

/// What a job may ask for besides reading the repository.
const PERMISSIONS: [&str; 6] = [
    "contents: read",
    "contents: write",
    "packages: write",
    "pages: write",
    "id-token: write",
    "attestations: write",
];

fn parse(file: &File) -> Value {
    serde_saphyr::from_str(&file.text).unwrap_or_else(|error| panic!("{}: {error}", file.path))
}

fn workflows() -> Vec<(File, Value)> {
    let parsed = files(".github/workflows", "yml").into_iter().map(|file| {
        let value = parse(&file);
        (file, value)
    });
    parsed.collect()
}

/// Returns the entries of a member that is an object, or none if there is no such member.
fn entries<'a>(value: &'a Value, member: &str) -> Vec<(&'a String, &'a Value)> {
    value[member].as_object().map(|object| object.iter().collect()).unwrap_or_default()
}

/// Returns the elements of a member that is a list, or none if there is no such member.
fn elements<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value[member].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Returns the jobs of all workflows with a name for messages.
fn jobs(workflows: &[(File, Value)]) -> Vec<(String, &Value)> {
    let jobs = workflows.iter().flat_map(|(file, workflow)| {
        entries(workflow, "jobs").into_iter().map(|(name, job)| (format!("{}: {name}", file.path), job))
    });
    jobs.collect()
}

/// Returns the scripts of all steps with a name for messages.
fn scripts(workflows: &[(File, Value)]) -> Vec<(String, &str)> {
    let scripts = jobs(workflows).into_iter().flat_map(|(name, job)| {
        let scripts = elements(job, "steps").iter().filter_map(|step| step["run"].as_str());
        scripts.map(move |script| (name.clone(), script))
    });
    scripts.collect()
}

#[test]
fn there_is_a_workflow_for_each_purpose() {
    let names: Vec<String> = files(".github/workflows", "yml").into_iter().map(|file| file.path).collect();
    for name in ["ci", "release", "image", "book"] {
        assert!(names.contains(&format!(".github/workflows/{name}.yml")), "{names:?}");
    }
    assert!(text(".github/workflows/ci.yml").contains("run: bash .ci/run\n"));
}

#[test]
fn actions_are_pinned_to_a_commit() {
    let mut actions = BTreeSet::new();
    for (file, _) in workflows() {
        for line in file.text.lines().filter(|line| line.contains("uses:")) {
            let (action, version) = line.split_once(" # v").unwrap_or_else(|| panic!("no version: {line}"));
            let (name, commit) = action.rsplit_once('@').expect("a commit");
            assert!(commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()), "{line}");
            assert!(version.split('.').count() == 3, "{line}");
            actions.insert((name.split("uses: ").nth(1).expect("a name").to_owned(), commit.to_owned()));
        }
    }
    let names: BTreeSet<&String> = actions.iter().map(|(name, _)| name).collect();
    assert_eq!(names.len(), actions.len(), "one version of each: {actions:?}");
    assert!(names.iter().all(|name| name.starts_with("actions/")), "nothing of third parties: {names:?}");
}

#[test]
fn workflows_may_do_no_more_than_they_need() {
    let workflows = workflows();
    for (file, workflow) in &workflows {
        assert_eq!(workflow["permissions"], serde_json::json!({ "contents": "read" }), "{}", file.path);
        assert!(!file.text.contains("pull_request_target"), "{}: runs code of others with rights", file.path);
        assert!(!file.text.contains("secrets."), "{}: none but the token of the run", file.path);
        assert!(!file.text.contains("write-all"), "{}", file.path);
        // Each right to write says what it is for.
        for line in file.text.lines().filter(|line| line.contains(": write")) {
            assert!(line.contains(" # "), "{}: {line}", file.path);
        }
    }
    for (name, job) in jobs(&workflows) {
        for (what, right) in entries(job, "permissions") {
            let permission = format!("{what}: {}", right.as_str().expect("a word"));
            assert!(PERMISSIONS.contains(&permission.as_str()), "{name}: {permission}");
        }
        assert!(job["timeout-minutes"].is_u64(), "{name} has no timeout");
        for step in elements(job, "steps") {
            let is_checkout = step["uses"].as_str().is_some_and(|action| action.starts_with("actions/checkout@"));
            assert!(
                !is_checkout || step["with"]["persist-credentials"] == false,
                "{name} leaves the token on the disk"
            );
        }
    }
}

/// What a branch or a tag is called must not become part of a program.
#[test]
fn workflow_scripts_take_values_from_the_environment() {
    let workflows = workflows();
    let scripts = scripts(&workflows);
    assert!(scripts.len() > 10);
    for (name, script) in scripts {
        assert!(!script.contains("${{"), "{name}: {script}");
    }
}

#[test]
fn programs_that_workflows_run_exist() {
    let workflows = workflows();
    let mut called = BTreeSet::new();
    for (name, script) in scripts(&workflows) {
        for word in script.split_whitespace().filter(|word| word.starts_with("scripts/") || word.starts_with(".ci/")) {
            assert!(root().join(word).is_file(), "{name} runs {word}");
            called.insert(word);
        }
    }
    assert!(called.contains("scripts/package") && called.contains(".ci/run"), "{called:?}");
}

/// GitHub shows no form that it cannot read, and says nothing.
#[test]
fn issue_forms_are_well_formed() {
    let forms = files(".github/ISSUE_TEMPLATE", "yml");
    let mut names = Vec::new();
    for file in forms.iter().filter(|file| !file.path.ends_with("config.yml")) {
        let form = parse(file);
        let mut ids = BTreeSet::new();
        for member in ["name", "description"] {
            assert!(form[member].is_string(), "{}: {member}", file.path);
        }
        for field in elements(&form, "body") {
            let (kind, attributes) = (field["type"].as_str().expect("a type"), &field["attributes"]);
            assert!(["markdown", "textarea", "input", "dropdown", "checkboxes"].contains(&kind), "{}", file.path);
            if kind == "markdown" {
                assert!(attributes["value"].is_string(), "{}", file.path);
                continue;
            }
            assert!(attributes["label"].is_string(), "{}: {field}", file.path);
            assert!(ids.insert(field["id"].as_str().expect("an id").to_owned()), "{}: {field}", file.path);
            assert_eq!(kind == "dropdown", attributes["options"].is_array(), "{}: {field}", file.path);
        }
        assert!(!ids.is_empty(), "{}", file.path);
        names.push(file.path.rsplit('/').next().expect("a name").to_owned());
    }
    assert_eq!(names, ["bug.yml", "idea.yml", "proxy.yml"]);
    let config = parse(&File { path: "config.yml".to_owned(), text: text(".github/ISSUE_TEMPLATE/config.yml") });
    assert_eq!(config["blank_issues_enabled"], false);
    assert!(
        config["contact_links"][0]["url"]
            .as_str()
            .expect("an address")
            .ends_with("/security/advisories/new")
    );
}

#[test]
fn proxy_form_asks_for_what_the_doctor_says() {
    let form = files(".github/ISSUE_TEMPLATE", "yml").into_iter().find(|file| file.path.ends_with("proxy.yml"));
    let form = parse(&form.expect("a form"));
    let doctor = elements(&form, "body").iter().find(|field| field["id"] == "doctor").expect("a field");
    assert_eq!(doctor["validations"]["required"], true);
    let hint = form["body"][0]["attributes"]["value"].as_str().expect("a text");
    assert!(hint.contains("\n    tiny-chat doctor https://"), "{hint}");
}

#[test]
fn updates_are_proposed_for_folders_that_exist() {
    let config: Value = serde_saphyr::from_str(&text(".github/dependabot.yml")).expect("YAML");
    assert_eq!(config["version"], 2);
    let mut kinds = BTreeSet::new();
    for update in elements(&config, "updates") {
        let kind = update["package-ecosystem"].as_str().expect("a kind");
        let manifest = match kind {
            "cargo" => "Cargo.toml",
            "npm" => "package.json",
            "pip" => "requirements.txt",
            "docker" => "Dockerfile",
            "github-actions" => ".github/workflows/ci.yml",
            _ => panic!("{kind}"),
        };
        let folders = elements(update, "directories").iter().chain(update.get("directory"));
        for folder in folders {
            let folder = folder.as_str().expect("a folder").trim_start_matches('/');
            assert!(root().join(folder).join(manifest).is_file(), "no {manifest} in /{folder}");
        }
        kinds.insert(kind.to_owned());
    }
    assert_eq!(kinds.len(), 5);
}

/// GitHub looks for these by name.
#[test]
fn documents_that_visitors_look_for_are_at_the_root() {
    for path in ["README.md", "LICENSE", "SECURITY.md", "CODE_OF_CONDUCT.md", "CONTRIBUTING.md", "SUPPORT.md"] {
        assert!(root().join(path).is_file(), "{path}");
    }
    assert!(root().join(".github/pull_request_template.md").is_file());
    let policy = text("SECURITY.md");
    assert!(policy.contains("/security/advisories/new") && policy.contains("## Supported versions"));
}
