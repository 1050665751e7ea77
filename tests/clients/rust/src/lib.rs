//! How each program prints what its library handed to it.

use serde_json::{Value, json};

/// Reads the data of a message as a user would, and prints its id and its text as one line of JSON, or that the data
/// could not be read.
pub fn report(id: &str, data: &str) {
    match serde_json::from_str::<Value>(data) {
        Ok(message) if message["message"].is_null() => {}
        Ok(message) => println!("{}", json!({ "id": id, "text": message["message"] })),
        Err(error) => println!("{}", json!({ "error": error.to_string() })),
    }
}

/// Returns the address that a program was started with.
pub fn address() -> String {
    std::env::args().nth(1).expect("an address")
}
