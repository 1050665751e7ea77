//! `/openapi.json` describes every route, and docs/api.md is made from it. `UPDATE=1 scripts/test docs_api_is_current`
//! writes that page anew.

use std::{collections::BTreeSet, env, fmt::Write as _, fs};

use serde_json::Value;

use crate::support::{
    Node,
    repository::{root, sources},
};

const PAGE: &str = "docs/api.md";

/// The answers that every operation has; the page says so once.
const OF_ALL: [&str; 4] = ["400", "408", "414", "431"];

/// An endpoint in the document.
struct Operation<'a> {
    path: &'a str,
    method: &'a str,
    value: &'a Value,
}

async fn document() -> Value {
    Node::start(&[]).await.get("/openapi.json").await.expect(200).json()
}

fn members(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value.as_object().into_iter().flatten().map(|(name, value)| (name.as_str(), value))
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    members(&document["paths"])
        .flat_map(|(path, item)| members(item).map(move |(method, value)| Operation { path, method, value }))
}

/// Returns the paths and methods of all routes, from the source, as the document writes them.
fn routes() -> BTreeSet<(String, String)> {
    let mut routes = BTreeSet::new();
    for file in sources().into_iter().filter(|file| file.is_in(&["src/web.rs", "src/web/"])) {
        let code = file.code();
        for (_, rest) in code.match_indices("resource(").map(|(at, word)| code.split_at(at + word.len())) {
            let mut literals = rest.split(')').next().unwrap_or_default().split('"').skip(1).step_by(2);
            let Some(path) = literals.next() else { continue };
            // Patterns of segments are no part of a path template.
            let path = path.replace(":.+}", "}").replace(":[^/]*}", "}");
            let methods = literals.next().unwrap_or("GET").split(", ");
            // "Wherever GET works, HEAD works too".
            let has_get = methods.clone().any(|method| method == "GET");
            let methods = methods.filter(|method| *method != "HEAD" || !has_get).map(str::to_lowercase);
            routes.extend(methods.map(|method| (path.clone(), method)));
        }
    }
    routes
}

#[tokio::test]
async fn the_openapi_document_describes_every_route() {
    let document = document().await;
    assert_eq!(document["openapi"].as_str().map(|version| &version[..4]), Some("3.1."));
    let described: BTreeSet<_> = operations(&document)
        .map(|operation| (operation.path.to_owned(), operation.method.to_owned()))
        .collect();
    // Its methods depend on what the node has: this one is said to be 405 without a password and keys.
    let mut routes = routes();
    routes.insert(("/history/{room}".to_owned(), "delete".to_owned()));
    assert!(routes.len() > 30, "{routes:?}");
    let (missing, extra): (Vec<_>, Vec<_>) =
        (routes.difference(&described).collect(), described.difference(&routes).collect());
    assert!(missing.is_empty() && extra.is_empty(), "not described: {missing:?}; no routes: {extra:?}");
}

#[tokio::test]
async fn references_of_the_openapi_document_lead_somewhere() {
    fn check(document: &Value, value: &Value) {
        if let Some(reference) = value["$ref"].as_str() {
            assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference} is nowhere");
        }
        members(value).for_each(|(_, member)| check(document, member));
        items(value).for_each(|item| check(document, item));
    }
    let document = document().await;
    check(&document, &document);
    let ids: Vec<_> = operations(&document).map(|operation| operation.value["operationId"].as_str()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{ids:?}");
    let tags: Vec<_> = items(&document["tags"]).map(|tag| tag["name"].as_str()).collect();
    for operation in operations(&document) {
        assert!(tags.contains(&operation.value["tags"][0].as_str()), "{} has no known tag", operation.path);
        assert!(operation.value["summary"].is_string(), "{} has no summary", operation.path);
    }
}

#[tokio::test]
async fn docs_api_is_current() {
    let page = page(&document().await);
    let path = root().join(PAGE);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, &page).expect("the page");
    }
    let current = fs::read_to_string(&path).unwrap_or_default();
    let different = page.lines().zip(current.lines()).find(|(new, old)| new != old);
    assert!(page == current, "{PAGE} is not what the code says; write it with UPDATE=1: {different:?}");
}

/// Returns a text in a cell of a table.
fn cell(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// Returns the type of a schema in words.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("[{name}](#{})", name.to_lowercase());
    }
    let alternatives: Vec<String> = ["oneOf", "anyOf", "allOf"]
        .iter()
        .flat_map(|word| items(&schema[*word]))
        .map(kind)
        .filter(|kind| kind != "null")
        .collect();
    if !alternatives.is_empty() {
        return alternatives.join(" or ");
    }
    if schema["enum"].is_array() {
        let values: Vec<String> = items(&schema["enum"]).filter_map(Value::as_str).map(|v| format!("`{v}`")).collect();
        return values.join(" or ");
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        kinds => items(kinds).filter_map(Value::as_str).filter(|kind| *kind != "null").collect(),
    };
    let types = types.join(" or ");
    let mut text = match types.as_str() {
        "array" => format!("list of {}", kind(&schema["items"])),
        "object" if schema["additionalProperties"].is_object() => "map".to_owned(),
        "" => "anything".to_owned(),
        _ => types,
    };
    let number = |name: &str| schema[name].as_u64();
    match (number("minLength"), number("maxLength")) {
        (Some(min), Some(max)) => _ = write!(text, ", {min} to {max} characters"),
        (None, Some(max)) => _ = write!(text, ", at most {max} characters"),
        _ => {}
    }
    match (number("minimum"), number("maximum")) {
        (Some(min), Some(max)) => _ = write!(text, ", {min} to {max}"),
        (Some(min), None) if min > 0 => _ = write!(text, ", from {min}"),
        _ => {}
    }
    if let Some(pattern) = schema["pattern"].as_str() {
        _ = write!(text, ", `{pattern}`");
    }
    text
}

/// Returns the media types and the schemas of a content, the same schema once.
fn content(content: &Value) -> String {
    let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
    for (media, value) in members(content) {
        let kind = if value["schema"]["type"] == "string" {
            String::new()
        } else {
            kind(&value["schema"])
        };
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, medias)) => medias.push(format!("`{media}`")),
            None => kinds.push((kind, vec![format!("`{media}`")])),
        }
    }
    let texts = kinds.into_iter().map(|(kind, medias)| match kind.as_str() {
        "" => medias.join(", "),
        _ => format!("{kind} as {}", medias.join(", ")),
    });
    texts.collect::<Vec<_>>().join("; ")
}

fn page(document: &Value) -> String {
    let mut page = String::from(
        "# The HTTP API\n\n<!-- Made from /openapi.json by UPDATE=1 scripts/test docs_api_is_current; do not edit. -->\n\n\
         Every address of a node, from `GET /openapi.json` (OpenAPI 3.1), which is made from the code.\n\
         [contract.md](contract.md) says what all of this means and promises.\n\n",
    );
    let description = document["info"]["description"].as_str().unwrap_or_default();
    _ = writeln!(page, "{}\n", description.split("\n\n").last().unwrap_or_default());
    let of_all: Vec<String> = OF_ALL
        .iter()
        .map(|status| {
            let description = &document["components"]["responses"][format!("Problem{status}")]["description"];
            format!("- {status}: {}\n", description.as_str().unwrap_or_default())
        })
        .collect();
    _ = writeln!(page, "Every request can be answered with these, as [Problem](#problem):\n\n{}", of_all.concat());
    for tag in items(&document["tags"]) {
        let name = tag["name"].as_str().unwrap_or_default();
        let title = name[..1].to_uppercase() + &name[1..];
        _ = writeln!(page, "## {title}\n\n{}.\n", tag["description"].as_str().unwrap_or_default());
        for operation in operations(document).filter(|operation| operation.value["tags"][0] == name) {
            push_operation(&mut page, document, &operation);
        }
    }
    push_refusals(&mut page, document);
    page += "## Schemas\n\n";
    for (name, schema) in members(&document["components"]["schemas"]) {
        push_schema(&mut page, name, schema);
    }
    page.trim_end().to_owned() + "\n"
}

fn push_operation(page: &mut String, document: &Value, Operation { path, method, value }: &Operation<'_>) {
    _ = writeln!(page, "### `{} {path}`\n", method.to_uppercase());
    _ = writeln!(page, "{}.\n", value["summary"].as_str().unwrap_or_default());
    let schemes: Vec<String> = items(&value["security"])
        .filter_map(|scheme| members(scheme).next())
        .map(|(name, _)| {
            let scheme = &document["components"]["securitySchemes"][name]["description"];
            scheme.as_str().unwrap_or_default().to_lowercase().replace("admin_password", "ADMIN_PASSWORD")
        })
        .collect();
    if !schemes.is_empty() {
        let is_optional = items(&value["security"]).any(|scheme| members(scheme).next().is_none());
        let may = if is_optional { "may come" } else { "comes" };
        _ = writeln!(page, "HTTP Basic {may} with it: {}.\n", schemes.join("; or "));
    }
    let parameters: Vec<&Value> = items(&value["parameters"]).collect();
    if !parameters.is_empty() {
        page.push_str("| parameter | in | type | meaning |\n|---|---|---|---|\n");
        for parameter in parameters {
            let of = |name: &str| parameter[name].as_str().unwrap_or_default();
            let kind = cell(&kind(&parameter["schema"]));
            _ = writeln!(page, "| `{}` | {} | {kind} | {} |", of("name"), of("in"), cell(of("description")));
        }
        page.push('\n');
    }
    if value["requestBody"].is_object() {
        _ = writeln!(page, "Body: {}.\n", content(&value["requestBody"]["content"]));
    }
    page.push_str("| answer | body | meaning |\n|---|---|---|\n");
    let mut refusals: Vec<String> = Vec::new();
    for (status, response) in members(&value["responses"]) {
        match response["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
            Some(name) if OF_ALL.contains(&status) && name.starts_with("Problem") => {}
            Some(name) => refusals.push(format!("[{status}](#{})", name.to_lowercase())),
            None => {
                let body = cell(&content(&response["content"]));
                let description = cell(response["description"].as_str().unwrap_or_default());
                _ = writeln!(page, "| {status} | {body} | {description} |");
            }
        }
    }
    page.push('\n');
    if !refusals.is_empty() {
        _ = writeln!(page, "Refused with {}.\n", refusals.join(", "));
    }
}

/// Lists the answers to which operations refer.
fn push_refusals(page: &mut String, document: &Value) {
    page.push_str("## Problems and refusals\n\n");
    for (name, response) in members(&document["components"]["responses"]) {
        let description = response["description"].as_str().unwrap_or_default();
        _ = writeln!(page, "### {name}\n\n{description}: {}.", content(&response["content"]));
        for (header, value) in members(&response["headers"]) {
            _ = writeln!(page, "`{header}`: {}.", value["description"].as_str().unwrap_or_default());
        }
        page.push('\n');
    }
}

fn push_schema(page: &mut String, name: &str, schema: &Value) {
    _ = writeln!(page, "### {name}\n");
    if let Some(description) = schema["description"].as_str() {
        _ = writeln!(page, "{description}\n");
    }
    let variants: Vec<&Value> = ["oneOf", "anyOf"].iter().flat_map(|word| items(&schema[*word])).collect();
    if variants.is_empty() {
        push_members(page, schema);
    }
    for variant in variants {
        if variant["type"] == "object" || variant["allOf"].is_array() {
            page.push_str("One of them has these members:\n\n");
            push_members(page, variant);
        } else {
            _ = writeln!(page, "- {}\n", kind(variant));
        }
    }
}

fn push_members(page: &mut String, schema: &Value) {
    let parts: Vec<&Value> = [schema].into_iter().chain(items(&schema["allOf"])).collect();
    for part in &parts {
        if part["$ref"].is_string() {
            _ = writeln!(page, "All members of {}, and:\n", kind(part));
        }
    }
    page.push_str("| member | type | meaning |\n|---|---|---|\n");
    for part in &parts {
        let required: Vec<&str> = items(&part["required"]).filter_map(Value::as_str).collect();
        for (name, member) in members(&part["properties"]) {
            let optional = if required.contains(&name) { "" } else { "optional; " };
            let description = member["description"].as_str().unwrap_or_default();
            _ = writeln!(page, "| `{name}` | {optional}{} | {} |", cell(&kind(member)), cell(description));
        }
    }
    page.push('\n');
}
