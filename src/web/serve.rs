//! actix's HTTP server over our own [connections](super::connection).

use std::fmt;
use std::io;
use std::net::{Ipv6Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol, Request, Response};
use actix_server::Server;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use ipnet::IpNet;
use socket2::SockRef;
use tokio::net::TcpStream;

use super::client::{is_trusted, limit_address};
use super::connection::{ConnectionIo, ConnectionLimiter};

/// How long written bytes may stay unacknowledged before the kernel closes a connection.
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// The kernel's send buffer per connection. A larger one would only hide that a client is slow.
const SEND_BUFFER_BYTES: usize = 64 << 10;

/// How long the rest of a request is read and discarded after it was answered without being read.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// The log target under which actix reports each request that it cannot parse, as an error.
pub const ACTIX_DISPATCHER_TARGET: &str = "actix_http::h1::dispatcher";

/// Serves an app to all clients that connect, on `workers` threads.
///
/// # Errors
/// If the listener cannot be used.
pub(crate) fn serve<I, S, B>(
    listener: TcpListener,
    workers: usize,
    limiter: Arc<ConnectionLimiter>,
    trusted_proxies: Vec<IpNet>,
    app: impl Fn() -> I + Send + Clone + 'static,
) -> io::Result<Server>
where
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Service: 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    B: MessageBody + 'static,
{
    set_options(&listener)?;
    let server = Server::build();
    let shutdown = server.graceful_shutdown_signal();
    let service = move || {
        let (limiter, trusted_proxies, shutdown) = (limiter.clone(), trusted_proxies.clone(), shutdown.clone());
        let app = app().into_factory().map_err(|error| error.into().error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let shutdown = shutdown.clone();
                async move { shutdown.notified().await }
            })
            // Connections have deadlines of their own.
            .client_request_timeout(Duration::ZERO)
            .keep_alive(KeepAlive::Os)
            .client_disconnect_timeout(LINGER_TIMEOUT)
            .h1_allow_half_closed(false) // a client that closes its side has left
            .on_connect_ext(|io: &ConnectionIo, data| drop(data.insert(io.connection())))
            .finish(map_config(app, |()| AppConfig::default()));
        let accept = move |socket: TcpStream| {
            let connection = accept(socket, &limiter, &trusted_proxies);
            async move { connection.map_err(DispatchError::Io) }
        };
        fn_service(accept).and_then(http)
    };
    let server = server
        .workers(workers)
        .max_concurrent_connections(usize::MAX) // unlimited here: the limiter decides
        .shutdown_timeout(u64::from(u16::MAX)) // unlimited here: the drain time is the limit
        .disable_signals()
        .listen("http", listener, service)?;
    Ok(server.run())
}

/// What actix needs to serve a connection; the last is the client's address.
type Accepted = (ConnectionIo, Protocol, Option<std::net::SocketAddr>);

/// Sets the options of all clients' sockets: those that a listening socket has are theirs as well.
fn set_options(listener: &TcpListener) -> io::Result<()> {
    let options = SockRef::from(listener);
    options.set_tcp_nodelay(true)?;
    #[cfg(target_os = "linux")]
    let _ = options.set_tcp_user_timeout(Some(TCP_USER_TIMEOUT));
    let _ = options.set_send_buffer_size(SEND_BUFFER_BYTES);
    Ok(())
}

/// Takes the connection of a new client, unless there are too many.
fn accept(socket: TcpStream, limiter: &Arc<ConnectionLimiter>, trusted_proxies: &[IpNet]) -> io::Result<Accepted> {
    let peer = socket.peer_addr().ok();
    let address = peer.map_or(Ipv6Addr::UNSPECIFIED.into(), |peer| peer.ip().to_canonical());
    let permit = limiter.permit(limit_address(address), is_trusted(&address, trusted_proxies));
    let permit = permit.ok_or_else(|| io::Error::other("too many connections"))?;
    Ok((ConnectionIo::new(socket, permit), Protocol::Http1, peer))
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use super::*;

    #[test]
    fn sockets_of_clients_have_the_options_of_the_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        set_options(&listener).unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, _) = listener.accept().unwrap();
        let options = SockRef::from(&socket);
        assert!(options.tcp_nodelay().unwrap());
        assert!(options.send_buffer_size().unwrap() <= 2 * SEND_BUFFER_BYTES, "Linux doubles it");
        #[cfg(target_os = "linux")]
        assert_eq!(options.tcp_user_timeout().unwrap(), Some(TCP_USER_TIMEOUT));
    }
}
