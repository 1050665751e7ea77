//! Clients of others (`tests/clients`) against a node that is killed, drained, full, or without Redis: what each of them
//! loses, gets twice or cannot read. `scripts/clients` runs all of them and makes the table in docs/clients.md.

mod audience;
mod catalogue;
mod faults;
mod installation;
mod outcome;
mod publisher;
mod table;
mod yesterday;

use std::{env, fs};

use catalogue::{Client, Runtime, catalogue};
use faults::Fault;
use installation::Installation;
use outcome::Outcome;
use table::Row;

use crate::support::repository::root;

/// Returns the text of a file of a package of npm, or why it cannot be had.
pub fn package_file(path: &str) -> Result<String, String> {
    let folder = installation::npm()?;
    fs::read_to_string(folder.join("node_modules").join(path)).map_err(|error| error.to_string())
}

/// Installs what the clients need, and returns those that can run. The others are named on standard error.
async fn installed(clients: Vec<Client>) -> Vec<Client> {
    let installation = Installation::of(&clients).await;
    let (available, missing): (Vec<Client>, Vec<Client>) =
        clients.into_iter().partition(|client| installation.has(client));
    for client in missing {
        eprintln!("NOT RUN: {}, since {}", client.title(), installation.reason(&client));
    }
    available
}

/// Fails if a client lost, doubled or garbled more than the catalogue says of it.
fn assert_promises_kept(clients: &[Client], fault: Fault, outcomes: &[Outcome]) {
    let broken = |(client, outcome): (&Client, &Outcome)| {
        let complaint = outcome.complaint(client.promise)?;
        let (client, fault, stderr) = (client.title(), fault.title(), &outcome.complaints);
        Some(format!("{client}, {fault}: {complaint}; {}\n{stderr}", table::cell(outcome)))
    };
    let broken: Vec<String> = clients.iter().zip(outcomes).filter_map(broken).collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_npm_and_pypi_keep_all_while_a_node_is_killed() {
    let is_quick = |client: &Client| matches!(client.runtime, Runtime::Node | Runtime::Python | Runtime::BarePython);
    let clients = installed(catalogue().into_iter().filter(is_quick).collect()).await;
    let outcomes = Fault::Killed.run(&clients).await;
    assert_promises_kept(&clients, Fault::Killed, &outcomes);
}

/// Runs the clients whose names contain one of the words in `CLIENTS`, or all, through the faults in `FAULTS`, or all.
/// Writes the table into the file `WRITE`, if there is one.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes: run by scripts/clients"]
async fn all_clients_through_all_faults() {
    let is_chosen = |list: &str, name: &str| {
        let words = env::var(list).unwrap_or_default();
        words.is_empty() || words.split_whitespace().any(|word| name.contains(word))
    };
    let clients: Vec<Client> = catalogue().into_iter().filter(|client| is_chosen("CLIENTS", &client.title())).collect();
    let clients = installed(clients).await;
    let faults: Vec<Fault> = Fault::ALL.into_iter().filter(|fault| is_chosen("FAULTS", fault.title())).collect();
    let mut rows: Vec<Row> = clients.iter().map(Row::of).collect();
    let mut all = Vec::new();
    for fault in &faults {
        eprintln!("{} …", fault.title());
        let outcomes = fault.run(&clients).await;
        for (client, outcome) in clients.iter().zip(&outcomes) {
            eprintln!("  {}: {}", client.title(), table::cell(outcome));
        }
        rows.iter_mut().zip(&outcomes).for_each(|(row, outcome)| row.add(outcome));
        all.push(outcomes);
    }
    let table = table::format(&faults, &rows);
    eprintln!("\n{table}");
    if let Ok(file) = env::var("WRITE") {
        let file = root().join(file);
        let text = fs::read_to_string(&file).expect("a file with the marks of the table");
        fs::write(&file, table::replace(&text, &table)).expect("a file that can be written");
    }
    for (fault, outcomes) in faults.into_iter().zip(&all) {
        assert_promises_kept(&clients, fault, outcomes);
    }
}
