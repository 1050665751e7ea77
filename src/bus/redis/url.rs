//! The URL of a store: which form of Redis it names, where that is, and how its servers are connected to.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use redis::{
    Client, ConnectionAddr, ConnectionInfo, ErrorKind, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    TlsCertificates,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// How long the kernel retransmits to a server that does not acknowledge before it closes the connection.
const REDIS_TCP_USER_TIMEOUT: Duration = Duration::from_secs(5);

/// The forms of a URL that are understood.
const URL_FORMS: &str = "write it as redis://[user:password@]host[:port][/database], as rediss://… for TLS, or as \
                         unix:///path/of/socket";

/// The Redis to connect to.
#[derive(Clone, Debug)]
pub struct RedisServer<'a> {
    /// Its URL, with the user and the password.
    pub url: &'a str,
    /// The certificates, in PEM, of the authorities that are trusted instead of the public ones.
    pub ca: Option<Vec<u8>>,
    /// Whether the password is used alone if the server does not know the user. Old URLs have a user that was never sent.
    pub is_user_optional: bool,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// A name or an address without brackets, and a port.
    Tcp(String, u16),
    /// The path of a socket.
    Unix(PathBuf),
}

/// A form of Redis.
#[derive(Clone, Debug)]
pub enum Form {
    /// One server.
    One(Address),
    /// A cluster, of which some servers are known.
    Cluster {
        /// These servers.
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
}

impl Target {
    /// Parses a URL.
    ///
    /// # Errors
    /// If the URL or the certificates cannot be understood.
    pub fn parse(server: RedisServer<'_>) -> Result<Self, String> {
        if let Some(rest) = server.url.strip_prefix("redis-cluster://") {
            let (access, hosts) = rest.rsplit_once('@').map_or(("", rest), |(access, hosts)| (access, hosts));
            let hosts: Vec<&str> = hosts.trim_end_matches('/').split(',').collect();
            let at = if access.is_empty() { "" } else { "@" };
            let infos = hosts.iter().map(|host| connection_info(&format!("redis://{access}{at}{host}")));
            let infos = infos.collect::<Result<Vec<_>, _>>()?;
            let seeds = infos.iter().map(|info| Address::of(info.addr())).collect::<Result<Vec<_>, _>>()?;
            let Some(info) = infos.into_iter().next() else {
                return Err(URL_FORMS.into());
            };
            let access = Access::new(info, server.ca, server.is_user_optional)?;
            return Ok(Self { form: Form::Cluster { seeds }, access });
        }
        let info = connection_info(server.url)?;
        let address = Address::of(info.addr())?;
        let access = Access::new(info, server.ca, server.is_user_optional)?;
        Ok(Self { form: Form::One(address), access })
    }
}

impl Address {
    fn of(address: &ConnectionAddr) -> Result<Self, String> {
        match address {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Ok(Self::Tcp(host.clone(), *port))
            }
            ConnectionAddr::Unix(path) => Ok(Self::Unix(path.clone())),
            _ => Err(format!("this kind of address is not supported; {URL_FORMS}")),
        }
    }

    /// Parses `host:port`; the host may be an IPv6 address, in brackets or not.
    pub fn parse(text: &str) -> Option<Self> {
        let (host, port) = text.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        Some(Self::Tcp(host.to_owned(), port.parse().ok()?))
    }

    /// Returns the address of another port of the same host, as a server that does not know its own name gives it.
    pub fn with_port(&self, port: u16) -> Self {
        match self {
            Self::Tcp(host, _) => Self::Tcp(host.clone(), port),
            Self::Unix(_) => self.clone(),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

impl Access {
    fn new(info: ConnectionInfo, ca: Option<Vec<u8>>, is_user_optional: bool) -> Result<Self, String> {
        let template = template(info, ca)?;
        let settings = template.redis_settings();
        let has_user = settings.username().is_some() && settings.password().is_some();
        let userless = without_user(&template).filter(|_| is_user_optional && has_user);
        Ok(Self { template, userless })
    }

    /// Returns the number of the database.
    pub fn database(&self) -> i64 {
        self.template.redis_settings().db()
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

/// Parses a URL of one server.
fn connection_info(url: &str) -> Result<ConnectionInfo, String> {
    // Neither the URL nor the library's error is quoted: both may hold the password.
    url.into_connection_info().map_err(|error| match error.detail() {
        None if error.kind() == ErrorKind::InvalidClientConfig => format!("{}; {URL_FORMS}", reason(&error)),
        _ => format!("it is not understood; {URL_FORMS}"),
    })
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

/// Returns the settings of connections that send without delay, speak RESP3 and notice a vanished server.
fn template(info: ConnectionInfo, ca: Option<Vec<u8>>) -> Result<ConnectionInfo, String> {
    let tcp = info.tcp_settings().clone().set_nodelay(true).set_user_timeout(REDIS_TCP_USER_TIMEOUT);
    let settings = as_we_speak(info.redis_settings().clone());
    let info = info.set_tcp_settings(tcp).set_redis_settings(settings);
    let Some(ca) = ca else {
        return Ok(info);
    };
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Err("REDIS_CA is for rediss://, and this URL has another scheme".into());
    }
    // The library accepts a file without a certificate, and then every handshake fails.
    if !CertificateDer::pem_slice_iter(&ca).any(|certificate| certificate.is_ok()) {
        return Err("REDIS_CA has no certificate in PEM".into());
    }
    let client = Client::build_with_tls(info, TlsCertificates { client_tls: None, root_cert: Some(ca) })
        .map_err(|error| format!("REDIS_CA: {error}"))?;
    Ok(client.get_connection_info().clone())
}

/// Returns the library's own words for an invalid URL, which quote nothing of it.
fn reason(error: &redis::RedisError) -> String {
    error.to_string().split(" - ").next().unwrap_or_default().to_owned()
}
