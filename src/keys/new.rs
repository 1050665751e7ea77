//! `tiny-chat keys new`: a key and a secret that cannot be guessed.

use std::io::{self, Write};
use std::process::ExitCode;

/// Prints a new key of 128 random bits and its secret of 256, in hex.
pub fn run() -> ExitCode {
    let (key, secret): (u128, [u128; 2]) = (rand::random(), rand::random());
    let printed = writeln!(io::stdout(), "{key:032x}:{:032x}{:032x}", secret[0], secret[1]);
    if printed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
