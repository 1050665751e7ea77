//! Options, proxies in front of nodes, platforms and images that start them, restarts, shutdown, and logs.

mod compose_files;
mod compose_proxies;
mod config;
mod crate_file;
mod debian;
mod health_command;
mod image;
mod install_script;
mod kubernetes;
mod logs;
mod lost_logs;
mod monitoring;
mod platforms;
mod proxied_restart;
mod proxy_configs;
mod rolling_restart;
mod sbom;
mod secret_files;
mod shutdown;
mod supervision;

use crate::support::Node;

/// The nginx configuration that the repository ships.
pub const NGINX_EXAMPLE: &str = include_str!("../../deploy/nginx.conf");

/// The HAProxy configuration that the repository ships.
pub const HAPROXY_EXAMPLE: &str = include_str!("../../deploy/haproxy.cfg");

/// The Caddyfile that the repository ships for nodes on one host.
pub const CADDY_EXAMPLE: &str = include_str!("../../deploy/Caddyfile");

/// Returns the nginx example with the addresses of these nodes, listening on `port`.
pub fn nginx_config(nodes: [&Node; 2], port: u16) -> String {
    with_nodes(nodes, NGINX_EXAMPLE).replace("listen 80;", &format!("listen 127.0.0.1:{port};"))
}

/// Returns an example configuration with the addresses of these nodes.
fn with_nodes(nodes: [&Node; 2], example: &str) -> String {
    let [first, second] = nodes.map(|node| node.address().to_string());
    example.replace("127.0.0.1:8081", &first).replace("127.0.0.1:8082", &second)
}
