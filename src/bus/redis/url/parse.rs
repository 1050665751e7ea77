//! Parses the URLs of the forms. What is wrong is said without a word of the URL: it may be the password.

use percent_encoding::percent_decode_str;
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, RedisError};

use super::address::Address;

/// The forms of a URL that are understood.
const URL_FORMS: &str = "write it as redis://[user:password@]host[:port][/database], \
                         as unix:///path/of/socket[?db=database&user=user&pass=password], \
                         as redis-sentinel://[user:password@]host[:port],…/name-of-the-master[/database] \
                         or as redis-cluster://[user:password@]host[:port],…; with TLS as rediss://…, \
                         rediss-sentinel://… or rediss-cluster://…; valkey is understood like redis, \
                         and other characters than letters and digits in a user or a password are written as %XX";

/// Parses the URL of one server.
pub fn one(url: &str) -> Result<ConnectionInfo, String> {
    // The library's error is not quoted as it is: it may hold the password.
    let info = url.into_connection_info().map_err(|error| match error.detail() {
        None if error.kind() == ErrorKind::InvalidClientConfig => format!("{}; {URL_FORMS}", reason(&error)),
        _ => not_understood(),
    })?;
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let (rest, fragment) = rest.split_once('#').map_or((rest, None), |(rest, fragment)| (rest, Some(fragment)));
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let asks_for = |names: &[&str]| form_urlencoded::parse(query.as_bytes()).any(|(name, _)| names.contains(&&*name));
    let why = match info.addr() {
        // The library passes over what is not understood.
        ConnectionAddr::Unix(_) if asks_for(&["database", "username", "password"]) => {
            "for a socket, they are called db, user and pass"
        }
        // Procfile adds it to whatever URL a platform gives.
        ConnectionAddr::Tcp(..) if fragment.is_some_and(|fragment| fragment != "insecure") => {
            "there is a # in it, and TLS is not"
        }
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } if host.contains(',') => {
            "there are several hosts in it"
        }
        ConnectionAddr::Tcp(..) | ConnectionAddr::TcpTls { .. }
            if query.contains('@') || asks_for(&["db", "user", "pass", "database", "username", "password"]) =>
        {
            "user, password and database do not come after a ?"
        }
        _ if info.redis_settings().db() < 0 => "the number of a database is not below 0",
        _ => return Ok(info),
    };
    Err(format!("{why}; {URL_FORMS}"))
}

/// A URL with several hosts.
pub struct Several {
    /// Where they are, each once.
    pub addresses: Vec<Address>,
    /// The settings of connections, with the first address.
    pub info: ConnectionInfo,
    /// The parts of the path.
    pub segments: Vec<String>,
}

/// Parses what comes after the scheme. The second part of the path is the database.
pub fn several(scheme: &str, rest: &str, default_port: u16) -> Result<Several, String> {
    let (rest, fragment) = rest.split_at(rest.find('#').unwrap_or(rest.len()));
    let (hosts, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, hosts) = hosts.rsplit_once('@').map_or(("", hosts), |(user, hosts)| (user, hosts));
    let why = if user.contains('@') {
        "user and password stand once, before the first host"
    } else if path.contains('?') {
        "nothing comes after a ?"
    } else if path.contains('@') {
        "there is an @ after the hosts"
    } else {
        ""
    };
    if !why.is_empty() {
        return Err(format!("{why}; {URL_FORMS}"));
    }
    let path = path.strip_prefix('/').unwrap_or(path);
    let segments: Vec<String> = path.strip_suffix('/').unwrap_or(path).split('/').map(str::to_owned).collect();
    let database = segments.get(1).map_or("", String::as_str);
    let separator = if user.is_empty() { "" } else { "@" };
    let mut found: Vec<(Address, ConnectionInfo)> = Vec::new();
    for host in hosts.split(',').map(str::trim) {
        let after_brackets = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
        let port = if after_brackets.contains(':') {
            String::new()
        } else {
            format!(":{default_port}")
        };
        let info = one(&format!("{scheme}://{user}{separator}{host}{port}/{database}{fragment}"))?;
        let address = Address::of(info.addr()).ok_or_else(not_understood)?;
        // One that is named twice counts once.
        if found.iter().all(|(known, _)| *known != address) {
            found.push((address, info));
        }
    }
    let info = found.first().map(|(_, info)| info.clone()).ok_or_else(not_understood)?;
    Ok(Several { addresses: found.into_iter().map(|(address, _)| address).collect(), info, segments })
}

/// Returns the name that the Sentinels have for the master.
pub fn master_name(segments: &[String]) -> Result<String, String> {
    let name = segments.first().and_then(|name| percent_decode_str(name).decode_utf8().ok()).unwrap_or_default();
    if name.is_empty() {
        return Err(format!("the name that the Sentinels have for the master is missing after the hosts; {URL_FORMS}"));
    }
    if segments.len() > 2 {
        return Err(format!("there is too much after the name of the master; {URL_FORMS}"));
    }
    Ok(name.into_owned())
}

/// Returns what is said of a URL of which nothing better can be said.
pub fn not_understood() -> String {
    format!("it is not understood; {URL_FORMS}")
}

/// Returns the library's own words for an invalid URL, which quote nothing of it.
fn reason(error: &RedisError) -> String {
    error.to_string().split(" - ").next().unwrap_or_default().to_owned()
}
