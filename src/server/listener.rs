//! The node's listening socket: opened with a long backlog, and closed so that no connection is lost.

use std::future::Future;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
#[cfg(target_os = "linux")]
use socket2::SockFilter;
use socket2::{Domain, SockRef, Socket, Type};
use tokio::time::sleep;

/// Connections that the kernel queues until they are accepted. After a restart all clients reconnect
/// at once.
const LISTEN_BACKLOG: i32 = 4096;

/// How long handshakes that have begun have to complete, and then the thread that accepts to notice that it should stop.
const SETTLING_TIME: Duration = Duration::from_millis(10);

/// How long the server may take to accept what is in the backlog before the socket is closed.
const BACKLOG_TIMEOUT: Duration = Duration::from_secs(2);

/// Binds a listener to the address, with a longer backlog than that of the standard library.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(LISTEN_BACKLOG)?;
    Ok(socket.into())
}

/// Closes a listening socket for all that hold a duplicate of it. Further connections are refused; those that are
/// complete are accepted before. `stop_accepting` then tells the server to leave the socket alone.
pub async fn close(listener: &TcpListener, stop_accepting: impl Future<Output = ()>) {
    // The kernel resets what is in the backlog of a socket that is closed, perhaps with a post that no proxy repeats. So
    // new handshakes are held back first: a client repeats its SYN after a second, and is refused then.
    let filtered = hold_back_handshakes(listener);
    let deadline = Instant::now() + BACKLOG_TIMEOUT;
    sleep(SETTLING_TIME).await;
    while has_backlog(listener) && Instant::now() < deadline {
        sleep(Duration::from_millis(1)).await;
    }
    stop_accepting.await;
    match filtered {
        Ok(()) => sleep(SETTLING_TIME).await,
        // Without a filter, more connections would come in that time.
        Err(error) => tracing::debug!(%error, "cannot hold back new connections while the listening socket is closed"),
    }
    // On Linux this ends listening, whereas dropping one of several duplicates would not.
    if let Err(error) = SockRef::from(listener).shutdown(Shutdown::Read) {
        tracing::warn!(%error, "cannot close the listening socket");
    }
}

/// Returns true if a connection waits to be accepted.
fn has_backlog(listener: &TcpListener) -> bool {
    let mut listeners = [PollFd::new(listener, PollFlags::IN)];
    poll(&mut listeners, Some(&Timespec::default())).is_ok_and(|ready| ready > 0)
}

/// Lets the kernel drop the first packet of each handshake.
#[cfg(target_os = "linux")]
fn hold_back_handshakes(listener: &TcpListener) -> io::Result<()> {
    SockRef::from(listener).attach_filter(&without_syn())
}

/// Other systems have no such filter.
#[cfg(not(target_os = "linux"))]
fn hold_back_handshakes(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Returns a packet filter, in the instructions of classic BPF, that drops the first packet of each handshake (RFC 9293
/// § 3.1: byte 13 of the header has the flags) and passes all others on.
#[cfg(target_os = "linux")]
fn without_syn() -> [SockFilter; 5] {
    const LOAD_BYTE: u16 = 0x30; // BPF_LD | BPF_B | BPF_ABS
    const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const SYN: u32 = 0x02;
    const SYN_OR_ACK: u32 = 0x12;
    [
        SockFilter::new(LOAD_BYTE, 0, 0, 13),
        SockFilter::new(AND, 0, 0, SYN_OR_ACK),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, SYN),
        SockFilter::new(RETURN, 0, 0, u32::MAX), // the whole packet
        SockFilter::new(RETURN, 0, 0, 0),        // nothing of it
    ]
}
