//! Ports that no other test and no benchmark gets, in whichever process.

use std::{
    net::{TcpListener, UdpSocket},
    ops::Range,
};

use parking_lot::Mutex;

/// Returns a free port.
///
/// It lies below the ephemeral range, so a server that is killed still finds it free when it is restarted.
pub fn free_port() -> u16 {
    static CLAIMED: Mutex<Range<u16>> = Mutex::new(0..0);
    let mut claimed = CLAIMED.lock();
    loop {
        match claimed.next() {
            Some(port) if TcpListener::bind(("0.0.0.0", port)).is_ok() => return port,
            Some(_) => {}
            None => *claimed = claim_ports(),
        }
    }
}

/// Claims some ports for this process, by a UDP socket on the first of them that is never closed.
fn claim_ports() -> Range<u16> {
    const PORTS: u16 = 64;
    loop {
        let first = rand::random_range(12_000 / PORTS..26_000 / PORTS) * PORTS;
        if let Ok(socket) = UdpSocket::bind(("127.0.0.1", first)) {
            std::mem::forget(socket);
            return first..first + PORTS;
        }
    }
}

#[test]
fn claimed_ports_are_given_out_once() {
    let firsts: std::collections::HashSet<u16> = (0..30).map(|_| claim_ports().start).collect();
    assert_eq!(firsts.len(), 30);
}
