use std::fs;

use super::*;

const OLD: &str = "0123456789abcdef";
const NEW: &str = "fedcba9876543210";

fn listed(list: &str) -> KeySources {
    KeySources { list: Some(list.into()), ..KeySources::default() }
}

fn has(apps: &Apps, key: &str, secret: &str) -> bool {
    apps.find(key).is_some_and(|app| app.has_secret(|it| it == secret))
}

#[test]
fn without_keys_nothing_is_enabled_or_private() {
    let apps = Apps::open(KeySources::default()).unwrap();
    assert!(!apps.are_enabled() && !apps.is_private(&RoomName::parse("private-x").unwrap()));
    assert!(Apps::open(listed(" , ")).unwrap().all().is_empty());
}

#[test]
fn with_keys_rooms_that_begin_with_private_are() {
    let apps = Apps::open(listed(&format!("a:{OLD}:"))).unwrap();
    let is_private = |name: &str| apps.is_private(&RoomName::parse(name).unwrap());
    assert!(apps.are_enabled() && is_private("private-x") && is_private("private-"));
    assert!(!is_private("private") && !is_private("Private-x") && !is_private("eshq.x"));
}

#[test]
fn keys_come_from_all_places_together() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys");
    fs::write(&path, format!("# ours\n\n  c:{OLD}  \r\n#d:{OLD}\na:{NEW}\n")).unwrap();
    let apps = Apps::open(KeySources {
        list: Some(format!("a:{OLD}, b:{OLD}:b~ ,")),
        file: Some(path.to_str().unwrap().into()),
        key: Some("e".into()),
        secret: Some("x".into()),
    })
    .unwrap();
    let keys: Vec<_> = apps.all().iter().map(|app| app.key().to_string()).collect();
    assert_eq!(keys, ["a", "b", "c", "e"]);
    assert!(has(&apps, "a", OLD) && has(&apps, "a", NEW) && has(&apps, "e", "x"));
    assert!(!has(&apps, "b", NEW) && !has(&apps, "d", OLD));
    assert!(apps.find("b").unwrap().is_open() && !apps.find("a").unwrap().is_open());
}

#[test]
fn a_key_and_a_secret_come_together() {
    for (key, secret) in [(Some("a"), None), (None, Some("x"))] {
        let sources = KeySources { key: key.map(Into::into), secret: secret.map(Into::into), ..KeySources::default() };
        let error = Apps::open(sources).err().unwrap();
        assert!(error.contains("ESHQ_KEY") && error.contains("ESHQ_SECRET"), "{error}");
    }
}

#[test]
fn the_place_of_a_bad_entry_is_told() {
    let error = Apps::open(listed(&format!("a:{OLD},,b:short"))).err().unwrap();
    assert!(error.starts_with("APP_KEYS: entry 3 (key b): "), "{error}");
    let error = Apps::open(listed(&format!("a:{OLD},a:{NEW}:x~"))).err().unwrap();
    assert!(error.starts_with("APP_KEYS: entry 2 (key a) and APP_KEYS: entry 1 (key a): "), "{error}");
}

/// A list of keys in a file that the test changes.
struct Listed {
    _directory: tempfile::TempDir,
    path: std::path::PathBuf,
    apps: Apps,
}

impl Listed {
    fn open(text: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        fs::write(&path, text).unwrap();
        let file = Some(path.to_str().unwrap().to_owned());
        Self {
            apps: Apps::open(KeySources { file, ..KeySources::default() }).unwrap(),
            _directory: directory,
            path,
        }
    }

    fn reload(&self, text: &str) -> Result<(), String> {
        fs::write(&self.path, text).unwrap();
        self.apps.reload()
    }
}

#[test]
fn a_secret_that_is_gone_is_refused_and_the_last_one_revokes() {
    let listed = Listed::open(&format!("a:{OLD}\na:{NEW}\n"));
    let first = listed.apps.find("a").unwrap();
    listed.reload(&format!("a:{NEW}\n")).unwrap();
    assert!(!has(&listed.apps, "a", OLD) && has(&listed.apps, "a", NEW));
    let revoked = |app: &App| app.revoked().load(Ordering::Acquire);
    assert!(!revoked(&first) && Arc::ptr_eq(first.revoked(), listed.apps.find("a").unwrap().revoked()));
    listed.reload("").unwrap();
    assert!(revoked(&first) && listed.apps.find("a").is_none());
    assert!(listed.apps.are_enabled() && listed.apps.is_private(&RoomName::parse("private-x").unwrap()));
    // A key that comes back is another: what was revoked stays so.
    listed.reload(&format!("a:{NEW}\n")).unwrap();
    assert!(revoked(&first) && !revoked(&listed.apps.find("a").unwrap()));
}

#[test]
fn another_prefix_revokes() {
    let listed = Listed::open(&format!("a:{OLD}\n"));
    let first = listed.apps.find("a").unwrap();
    listed.reload(&format!("a:{OLD}:x~\n")).unwrap();
    assert!(first.revoked().load(Ordering::Acquire));
    assert!(!listed.apps.find("a").unwrap().revoked().load(Ordering::Acquire));
}

#[test]
fn a_file_with_a_bad_line_changes_nothing() {
    let listed = Listed::open(&format!("a:{OLD}\n"));
    let first = listed.apps.find("a").unwrap();
    for text in [format!("# new\nb:{NEW}\nc:short\n"), format!("b:{NEW},c:{NEW}\n"), format!("b:{NEW}\nb:{OLD}:b~\n")] {
        let error = listed.reload(&text).unwrap_err();
        assert!(error.contains("APP_KEYS_FILE") && error.contains("line "), "{error}");
        assert!(!error.contains(NEW) && !error.contains(OLD), "{error}");
    }
    fs::remove_file(&listed.path).unwrap();
    assert!(listed.apps.reload().unwrap_err().contains("APP_KEYS_FILE"));
    assert!(has(&listed.apps, "a", OLD) && listed.apps.find("b").is_none());
    assert!(!first.revoked().load(Ordering::Acquire));
}

#[test]
fn a_file_may_hold_no_key_yet() {
    let listed = Listed::open("# none yet\n");
    assert!(!listed.apps.are_enabled());
    assert!(listed.apps.is_private(&RoomName::parse("private-x").unwrap()));
}
