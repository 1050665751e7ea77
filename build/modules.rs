//! One ES module: what it imports, exports and loads later, and its code with names that no other module has.

use std::collections::{BTreeMap, BTreeSet};

use oxc_allocator::{Allocator, TakeIn};
use oxc_ast::ast::{
    CallExpression, Declaration, Expression, ImportDeclarationSpecifier, Program, Statement, VariableDeclarationKind,
};
use oxc_ast_visit::{Visit, walk};
use oxc_codegen::{Codegen, CodegenOptions, CommentOptions};
use oxc_parser::Parser;
use oxc_semantic::SemanticBuilder;
use oxc_span::SourceType;

/// A module, without its imports and exports.
pub(crate) struct Module {
    /// The modules that it imports, in order.
    pub(crate) imports: Vec<String>,
    /// The unique names that it uses, by the module that has them.
    pub(crate) used: BTreeMap<String, BTreeSet<String>>,
    /// The names that it exports.
    pub(crate) exports: BTreeSet<String>,
    /// The modules that it passes to `load`.
    pub(crate) loads: BTreeSet<String>,
    /// Whether a second copy would be noticed: it does something when it runs, or keeps something that changes.
    pub(crate) has_state: bool,
    pub(crate) code: String,
}

/// Returns the name that something of a module has in all chunks.
pub(crate) fn unique(module: &str, name: &str) -> String {
    let module: String = module
        .trim_end_matches(".js")
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '_' })
        .collect();
    format!("{name}${module}")
}

/// Parses a module. `resolve` returns the module at a relative address.
pub(crate) fn parse(name: &str, source: &str, resolve: impl Fn(&str) -> String) -> Result<Module, String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::mjs()).parse();
    if let Some(error) = parsed.errors.first() {
        return Err(format!("{name}: {error}"));
    }
    let mut program = parsed.program;
    let mut scoping = SemanticBuilder::new().build(&program).semantic.into_scoping();
    let mut loads = Loads { resolve: &resolve, found: BTreeSet::new() };
    loads.visit_program(&program);
    let mut module = Module {
        imports: Vec::new(),
        used: BTreeMap::new(),
        exports: BTreeSet::new(),
        loads: loads.found,
        has_state: program.body.iter().any(is_stateful),
        code: String::new(),
    };

    let root = scoping.root_scope_id();
    let mut names = BTreeMap::new(); // by symbol, where it has another one than its own
    for statement in &program.body {
        let Statement::ImportDeclaration(import) = statement else {
            continue;
        };
        let from = resolve(&import.source.value);
        for specifier in import.specifiers.iter().flatten() {
            let ImportDeclarationSpecifier::ImportSpecifier(specifier) = specifier else {
                return Err(format!("{name} imports {from} as a whole: import what it needs by name"));
            };
            let unique = unique(&from, &specifier.imported.name());
            names.insert(specifier.local.symbol_id(), unique.clone());
            module.used.entry(from.clone()).or_default().insert(unique);
        }
        if !module.imports.contains(&from) {
            module.imports.push(from);
        }
    }
    for statement in &program.body {
        let Statement::ExportNamedDeclaration(export) = statement else {
            continue;
        };
        for specifier in &export.specifiers {
            let (local, exported) = (specifier.local.name(), specifier.exported.name());
            if let Some(symbol) = scoping.get_root_binding(&local) {
                names.insert(symbol, unique(name, &exported));
            }
            module.exports.insert(exported.to_string());
        }
    }
    let symbols: Vec<_> = scoping.iter_bindings_in(root).collect();
    for symbol in symbols {
        let own = || unique(name, scoping.symbol_name(symbol));
        let renamed = names.get(&symbol).cloned().unwrap_or_else(own);
        scoping.rename_symbol(symbol, root, &renamed);
    }
    module.exports.extend(strip(name, &allocator, &mut program)?);
    let options = CodegenOptions { comments: CommentOptions::disabled(), ..CodegenOptions::default() };
    module.code = Codegen::new().with_options(options).with_scoping(Some(scoping)).build(&program).code;
    Ok(module)
}

/// Takes imports, and the word `export`, out of a module. Returns the names that it exports.
fn strip<'a>(name: &str, allocator: &'a Allocator, program: &mut Program<'a>) -> Result<BTreeSet<String>, String> {
    let mut exports = BTreeSet::new();
    program.body.retain(|statement| match statement {
        Statement::ImportDeclaration(_) => false,
        Statement::ExportNamedDeclaration(export) => export.declaration.is_some() || export.source.is_some(),
        _ => true,
    });
    for statement in &mut program.body {
        match statement {
            Statement::ExportNamedDeclaration(export) => {
                let Some(declaration) = &mut export.declaration else {
                    return Err(format!("{name} exports what another module has: import it from there"));
                };
                match declaration {
                    Declaration::VariableDeclaration(variables) => {
                        let names = variables.declarations.iter().filter_map(|each| each.id.get_identifier_name());
                        exports.extend(names.map(|name| name.to_string()));
                    }
                    ref other => exports.extend(other.id().map(|id| id.name.to_string())),
                }
                *statement = declaration.take_in(allocator).into();
            }
            Statement::ExportDefaultDeclaration(_) | Statement::ExportAllDeclaration(_) => {
                return Err(format!("{name} has an export without a name: give it one"));
            }
            _ => {}
        }
    }
    Ok(exports)
}

/// Finds the calls `load('name')` and `lazily('name', …)`, which name modules of the folder of pages.
struct Loads<'a, R> {
    resolve: &'a R,
    found: BTreeSet<String>,
}

impl<'a, R: Fn(&str) -> String> Visit<'a> for Loads<'_, R> {
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let is_load =
            matches!(&call.callee, Expression::Identifier(callee) if matches!(callee.name.as_str(), "load" | "lazily"));
        if let (true, Some(Expression::StringLiteral(part))) =
            (is_load, call.arguments.first().and_then(|it| it.as_expression()))
        {
            self.found.insert((self.resolve)(&format!("./{}.js", part.value)));
        }
        walk::walk_call_expression(self, call);
    }
}

fn is_stateful(statement: &Statement) -> bool {
    let declaration = match statement {
        Statement::ImportDeclaration(_) => return false,
        Statement::ExportNamedDeclaration(export) => export.declaration.as_ref(),
        other => other.as_declaration(),
    };
    match declaration {
        Some(Declaration::FunctionDeclaration(_) | Declaration::ClassDeclaration(_)) => false,
        Some(Declaration::VariableDeclaration(variables)) => {
            variables.kind != VariableDeclarationKind::Const
                || variables.declarations.iter().any(|variable| !variable.init.as_ref().is_some_and(is_constant))
        }
        _ => true,
    }
}

/// Whether a value never changes, as far as can be seen.
fn is_constant(value: &Expression) -> bool {
    match value.without_parentheses() {
        Expression::ArrayExpression(array) => !array.elements.is_empty(),
        Expression::ObjectExpression(object) => !object.properties.is_empty(),
        // `new Set(WORDS)` is a table, `new Set()` is to be filled.
        Expression::NewExpression(new) => !new.arguments.is_empty() || new.callee.is_member_expression(),
        Expression::CallExpression(_) | Expression::AwaitExpression(_) | Expression::AssignmentExpression(_) => false,
        _ => true,
    }
}
