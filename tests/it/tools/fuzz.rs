//! The properties of `fuzz/` for its corpus, for inputs made of pieces of it, and for random bytes. `scripts/fuzz`
//! tries them for longer.

use std::{fs, path::Path};

use proptest::{
    collection::vec,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

#[path = "../../../fuzz/src/lib.rs"]
mod properties;

/// Bytes that separate lines, frames, names, numbers or parts.
const PIECES: &[&[u8]] = &[
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\x1e",
    b"\xff",
    b"\xc3\xa9",
    b"\xe2\x80\xa8",
    b" ",
    b",",
    b"%2C",
    b"%",
    b"&",
    b"=",
    b"-",
    b"{",
    b"}",
    b"\"",
    b":",
    b"0",
    b"9007199254740991",
];

/// Returns the files of a target's corpus.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
}

/// Generates inputs from pieces of two corpus files and of the list above, or from random bytes.
fn input(corpus: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let cut =
        |file: Vec<u8>| (0..=file.len(), 0..=file.len()).prop_map(move |(a, b)| file[a.min(b)..a.max(b)].to_vec());
    let beginning = |file: Vec<u8>| (0..=file.len()).prop_map(move |end| file[..end].to_vec());
    let middle = prop_oneof![
        select(corpus.clone()).prop_flat_map(cut),
        select(PIECES).prop_map(<[u8]>::to_vec),
        vec(any::<u8>(), 0..8),
    ];
    let made = (select(corpus).prop_flat_map(beginning), vec(middle, 0..6));
    prop_oneof![
        9 => made.prop_map(|(beginning, rest)| [beginning, rest.concat()].concat()),
        1 => vec(any::<u8>(), 0..512),
    ]
}

fn assert_holds(target: &str, property: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(corpus.len() >= 10, "{} files in the corpus of {target}", corpus.len());
    corpus.iter().for_each(|file| property(file));
    let config = Config { cases: 2_000, failure_persistence: None, ..Config::default() };
    let tried = TestRunner::new(config).run(&input(corpus), |bytes| {
        property(&bytes);
        Ok(())
    });
    tried.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn frames_decode_to_what_was_encoded() {
    assert_holds("frames", properties::frames::check);
}

#[test]
fn ids_and_cursors_have_one_spelling_and_one_order() {
    assert_holds("ids", properties::ids::check);
}

#[test]
fn room_spellings_normalise_to_one_name() {
    assert_holds("rooms", properties::rooms::check);
}

#[test]
fn bodies_are_refused_or_yield_valid_drafts() {
    assert_holds("bodies", properties::bodies::check);
}

#[test]
fn announcements_decode_to_what_was_encoded() {
    assert_holds("announcements", properties::announcements::check);
}

#[test]
fn streams_are_read_alike_wherever_they_are_cut() {
    assert_holds("streams", properties::streams::check);
}
