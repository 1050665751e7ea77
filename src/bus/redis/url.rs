//! The URL of a store: which form of Redis it names, where that is, and how its servers are connected to.

mod address;
mod parse;

use std::sync::Arc;
use std::time::Duration;

use redis::{Client, ConnectionAddr, ConnectionInfo, ProtocolVersion, RedisConnectionInfo};
use rustls::sign::CertifiedKey;

use super::tls::TlsFiles;
pub use address::Address;
use parse::{Several, master_name, not_understood, one, several};

/// How long the kernel retransmits to a server that does not acknowledge before it closes the connection.
#[cfg(target_os = "linux")]
const REDIS_TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// The ports of servers and of Sentinels, unless the URL names others.
const SERVER_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26_379;

/// The Redis to connect to.
#[derive(Clone)]
pub struct RedisServer<'a> {
    /// The variable of the URL.
    pub variable: &'static str,
    /// Its URL, with the user and the password.
    pub url: &'a str,
    /// The certificates of connections over TLS.
    pub tls: TlsFiles,
    /// Whether the password is used alone if the server does not know the user. Old URLs have a user that was never sent.
    pub is_user_optional: bool,
    /// The user at the Sentinels (`REDIS_SENTINEL_USER`).
    pub sentinel_user: Option<&'a str>,
    /// The password at the Sentinels (`REDIS_SENTINEL_PASSWORD`).
    pub sentinel_password: Option<&'a str>,
}

/// A form of Redis.
#[derive(Clone, Debug)]
pub enum Form {
    /// One server.
    One(Address),
    /// A master and its replicas, whose roles Sentinels change.
    #[allow(dead_code)] // until Sentinels are watched
    Sentinel {
        /// The Sentinels, at least one.
        sentinels: Vec<Address>,
        /// The name that they have for the master.
        master: String,
        /// How they are connected to.
        access: Box<Access>,
    },
    /// A cluster, of which some servers are known.
    Cluster {
        /// These servers, at least one.
        seeds: Vec<Address>,
    },
}

/// What a URL names.
#[derive(Clone, Debug)]
pub struct Target {
    /// The form, and where it is.
    pub form: Form,
    /// How all servers of it that hold data are connected to.
    pub access: Access,
}

/// How servers are connected to, wherever they are: user, password, database, TLS.
#[derive(Clone, Debug)]
pub struct Access {
    /// The address in it is only that of one server of many.
    template: ConnectionInfo,
    /// The same without the user, if the user may be unknown to Redis.
    userless: Option<ConnectionInfo>,
    /// The certificate of this client with its key.
    identity: Option<Arc<CertifiedKey>>,
}

impl RedisServer<'_> {
    /// Checks that the URL and the options beside it can be understood.
    ///
    /// # Errors
    /// If they cannot. The error names the variable.
    pub fn check(&self) -> Result<(), String> {
        Target::parse(self.clone()).map(drop)
    }
}

impl Target {
    /// Parses a URL and the options beside it.
    ///
    /// # Errors
    /// If they cannot be understood. The error names the variable.
    pub fn parse(server: RedisServer<'_>) -> Result<Self, String> {
        let in_url = |why: String| format!("{}: {why}", server.variable);
        // A password may hold anything, so nothing of the URL is quoted.
        let (scheme, rest) = server.url.split_once("://").ok_or_else(|| in_url(not_understood()))?;
        let scheme = scheme.to_ascii_lowercase().replace("valkey", "redis");
        let sentinel_access = |info: &ConnectionInfo| -> Result<Access, String> {
            let settings = sentinel_settings(server.sentinel_user, server.sentinel_password)?;
            Access::new(info.clone().set_redis_settings(settings), server.tls.clone(), false)
        };
        let (form, info) = match scheme.split_once('-') {
            Some((base @ ("redis" | "rediss"), "sentinel")) => {
                let Several { addresses, info, segments } = several(base, rest, SENTINEL_PORT).map_err(in_url)?;
                let master = master_name(&segments).map_err(in_url)?;
                (Form::Sentinel { sentinels: addresses, master, access: Box::new(sentinel_access(&info)?) }, info)
            }
            Some((base @ ("redis" | "rediss"), "cluster")) => {
                let Several { addresses, info, segments } = several(base, rest, SERVER_PORT).map_err(in_url)?;
                if !matches!(segments.as_slice(), [only] if ["", "0"].contains(&only.as_str())) {
                    return Err(in_url(
                        "a cluster has no database other than 0; end the URL after the last host".into(),
                    ));
                }
                (Form::Cluster { seeds: addresses }, info)
            }
            _ => {
                let info = one(server.url).map_err(in_url)?;
                let address = Address::of(info.addr()).ok_or_else(|| in_url(not_understood()))?;
                (Form::One(address), info)
            }
        };
        let of_sentinel = [("USER", server.sentinel_user), ("PASSWORD", server.sentinel_password)];
        let of_sentinel = of_sentinel.into_iter().find(|(_, value)| value.is_some());
        if let (Some((name, _)), Form::One(_) | Form::Cluster { .. }) = (of_sentinel, &form) {
            return Err(format!("REDIS_SENTINEL_{name}: it is for redis-sentinel://, and the URL has another scheme"));
        }
        Ok(Self { form, access: Access::new(info, server.tls, server.is_user_optional)? })
    }
}

impl Access {
    fn new(info: ConnectionInfo, tls: TlsFiles, is_user_optional: bool) -> Result<Self, String> {
        let tcp = info.tcp_settings().clone().set_nodelay(true);
        #[cfg(target_os = "linux")] // no other system that we support has it
        let tcp = tcp.set_user_timeout(REDIS_TCP_USER_TIMEOUT);
        let settings = as_we_speak(info.redis_settings().clone());
        let (template, identity) = tls.apply(info.set_tcp_settings(tcp).set_redis_settings(settings))?;
        let settings = template.redis_settings();
        let has_user = settings.username().is_some() && settings.password().is_some();
        let userless = without_user(&template).filter(|_| is_user_optional && has_user);
        Ok(Self { template, userless, identity })
    }

    /// Returns the number of the database.
    pub fn database(&self) -> i64 {
        self.template.redis_settings().db()
    }

    /// Returns true if connections are over TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self.template.addr(), ConnectionAddr::TcpTls { .. })
    }

    /// Returns the certificate that servers are shown over TLS, with its key.
    pub fn identity(&self) -> Option<Arc<CertifiedKey>> {
        self.identity.clone()
    }

    /// Returns what connects to a server.
    pub fn client(&self, address: &Address) -> Result<Client, String> {
        open(self.template.clone(), address)
    }

    /// Returns what connects to a server with the password alone, if the user may be unknown to it.
    pub fn userless_client(&self, address: &Address) -> Option<Result<Client, String>> {
        self.userless.clone().map(|template| open(template, address))
    }
}

fn open(template: ConnectionInfo, address: &Address) -> Result<Client, String> {
    let to = match (address, template.addr()) {
        (Address::Unix(path), _) => ConnectionAddr::Unix(path.clone()),
        (Address::Tcp(host, port), ConnectionAddr::TcpTls { insecure, tls_params, .. }) => ConnectionAddr::TcpTls {
            host: host.clone(),
            port: *port,
            insecure: *insecure,
            tls_params: tls_params.clone(),
        },
        (Address::Tcp(host, port), _) => ConnectionAddr::Tcp(host.clone(), *port),
    };
    Client::open(template.set_addr(to)).map_err(|error| error.to_string())
}

/// Returns how to connect with the password alone.
fn without_user(info: &ConnectionInfo) -> Option<ConnectionInfo> {
    let settings = info.redis_settings();
    let without_user = RedisConnectionInfo::default().set_db(settings.db()).set_password(settings.password()?);
    Some(info.clone().set_redis_settings(as_we_speak(without_user)))
}

/// Returns settings of a connection with the protocol that is needed.
fn as_we_speak(settings: RedisConnectionInfo) -> RedisConnectionInfo {
    settings.set_protocol(ProtocolVersion::RESP3).set_skip_set_lib_name()
}

/// Returns user and password at the Sentinels.
fn sentinel_settings(user: Option<&str>, password: Option<&str>) -> Result<RedisConnectionInfo, String> {
    let settings = RedisConnectionInfo::default();
    match (user, password) {
        (None, None) => Ok(settings),
        (None, Some(password)) => Ok(settings.set_password(password)),
        (Some(user), Some(password)) => Ok(settings.set_username(user).set_password(password)),
        (Some(_), None) => Err("REDIS_SENTINEL_USER: it needs its password, REDIS_SENTINEL_PASSWORD, too".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> RedisServer<'_> {
        let (tls, none) = (TlsFiles::default(), None);
        RedisServer {
            variable: "REDIS_URL",
            url,
            tls,
            is_user_optional: false,
            sentinel_user: none,
            sentinel_password: none,
        }
    }

    fn parse(url: &str) -> Target {
        Target::parse(server(url)).unwrap_or_else(|why| panic!("{url}: {why}"))
    }

    /// Returns user, password and database, and whether there is TLS.
    fn settings(access: &Access) -> (Option<&str>, Option<&str>, i64, bool) {
        let settings = access.template.redis_settings();
        let is_tls = matches!(access.template.addr(), redis::ConnectionAddr::TcpTls { .. });
        (settings.username(), settings.password(), settings.db(), is_tls)
    }

    fn texts(addresses: &[Address]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn urls_of_one_server_have_all_their_parts() {
        for (url, address, user, password, database, tls) in [
            ("redis://localhost", "localhost:6379", None, None, 0, false),
            ("REDIS://Localhost:7000/2", "localhost:7000", None, None, 2, false),
            ("rediss://:p%40ss%2F@h/1", "h:6379", None, Some("p@ss/"), 1, true),
            ("rediss://h/#insecure", "h:6379", None, None, 0, true),
            ("redis://h/#insecure", "h:6379", None, None, 0, false),
            ("valkey://%C3%A4da:p@[::1]:7000", "[::1]:7000", Some("äda"), Some("p"), 0, false),
            ("valkeys://a:b@[2001:DB8::0:1]", "[2001:db8::1]:6379", Some("a"), Some("b"), 0, true),
            ("unix:///run/redis.sock", "/run/redis.sock", None, None, 0, false),
            ("redis+unix:///a%20b?db=2", "/a b", None, None, 2, false),
            ("valkey+unix:///a?user=u&pass=p%2Bq&db=3", "/a", Some("u"), Some("p+q"), 3, false),
        ] {
            let target = parse(url);
            assert!(matches!(&target.form, Form::One(at) if at.to_string() == address), "{url}: {:?}", target.form);
            assert_eq!(settings(&target.access), (user, password, database, tls), "{url}");
        }
    }

    #[test]
    fn urls_of_sentinels_have_all_their_parts() {
        for (scheme, tls) in [("redis", false), ("rediss", true), ("valkey", false), ("valkeys", true)] {
            let url = format!("{scheme}-sentinel://u:p%2C@h1,[::1],h2:7000,H1:26379/my%2Fmaster/4");
            let target = parse(&url);
            let Form::Sentinel { sentinels, master, access } = &target.form else {
                panic!("{:?}", target.form)
            };
            assert_eq!(texts(sentinels), ["h1:26379", "[::1]:26379", "h2:7000"]);
            assert_eq!(master, "my/master");
            assert_eq!(settings(&target.access), (Some("u"), Some("p,"), 4, tls));
            assert_eq!(settings(access), (None, None, 0, tls), "the Sentinels have users of their own");
        }
        let server = RedisServer {
            sentinel_user: Some("sue"),
            sentinel_password: Some("secret"),
            ..server("redis-sentinel://h/m/")
        };
        let target = Target::parse(server).unwrap();
        let Form::Sentinel { access, .. } = &target.form else {
            panic!("{:?}", target.form)
        };
        assert_eq!(settings(access), (Some("sue"), Some("secret"), 0, false));
        assert_eq!(settings(&target.access), (None, None, 0, false));
    }

    #[test]
    fn urls_of_clusters_have_all_their_parts() {
        for (scheme, tls) in [("redis", false), ("rediss", true), ("valkey", false), ("valkeys", true)] {
            for end in ["", "/", "/0"] {
                let target = parse(&format!("{scheme}-cluster://u:p@h1:7000,h2,[::1]{end}"));
                let Form::Cluster { seeds } = &target.form else {
                    panic!("{:?}", target.form)
                };
                assert_eq!(texts(seeds), ["h1:7000", "h2:6379", "[::1]:6379"]);
                assert_eq!(settings(&target.access), (Some("u"), Some("p"), 0, tls));
            }
        }
    }

    #[test]
    fn unclear_urls_are_refused_without_the_password() {
        for (url, why) in [
            ("hunter2", "not understood"),
            ("http://:hunter2@h", "did not parse"),
            ("redis://:hunter2@h/x", "database number"),
            ("redis://:hunter2@h/-1", "below 0"),
            ("redis://:hunter2@h:x", "did not parse"),
            ("redis://u:12#hunter2@h", "a # in it"),
            ("redis://u:12?hunter2@h", "after a ?"),
            ("redis://h?db=2&pass=hunter2", "after a ?"),
            ("redis://:hunter2@h1,h2", "several hosts"),
            ("redis://:hunter2@0.0.0.0", "wildcard"),
            ("rediss://:hunter2@h#secure", "#insecure"),
            ("unix://:hunter2@h/a", "path"),
            ("unix:///a?password=hunter2", "db, user and pass"),
            ("redis-sentinel://:hunter2@h1,h2", "name"),
            ("redis-sentinel://:hunter2@h1//2", "name"),
            ("redis-sentinel://:hunter2@/m", "did not parse"),
            ("redis-sentinel://:hunter2@h1,,h2/m", "did not parse"),
            ("redis-sentinel://:hunter2@h1,::1/m", "did not parse"),
            ("redis-sentinel://:hunter2@h1/m/x", "database number"),
            ("redis-sentinel://:hunter2@h1/m/1/2", "too much"),
            ("redis-sentinel://:hunter2@h1/m?db=2", "after a ?"),
            ("redis-sentinel://:hunter2@h1,:hunter2@h2/m", "once"),
            ("redis-sentinel://u:1/hunter2@h1/m", "an @ after"),
            ("redis-sentinel://u:1#hunter2@h1/m", "a # in it"),
            ("http-sentinel://:hunter2@h1/m", "did not parse"),
            ("redis-cluster://:hunter2@h1/1", "database other than 0"),
            ("redis-cluster://:hunter2@h1/x", "database other than 0"),
            ("rediss-cluster://:hunter2@h1/0/1", "database other than 0"),
        ] {
            let refusal =
                Target::parse(server(url)).map_or_else(|why| why, |target| format!("{url} is taken: {target:?}"));
            assert!(refusal.starts_with("REDIS_URL: "), "{url}: {refusal}");
            assert!(refusal.to_lowercase().contains(&why.to_lowercase()), "{url}: {refusal}");
            assert!(!refusal.contains("hunter2"), "{url}: {refusal}");
        }
    }

    #[test]
    fn options_for_sentinels_are_refused_where_they_set_nothing() {
        let user = RedisServer { sentinel_user: Some("sue"), ..server("redis-sentinel://h/m") };
        let other = RedisServer { sentinel_password: Some("hunter2"), ..server("redis-cluster://h") };
        for (server, variable) in [(user, "REDIS_SENTINEL_USER: "), (other, "REDIS_SENTINEL_PASSWORD: ")] {
            let refusal = server.check().unwrap_err();
            assert!(refusal.starts_with(variable) && !refusal.contains("hunter2"), "{refusal}");
        }
    }
}
