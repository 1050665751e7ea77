//! Starting, configuring behind proxies, restarting and stopping nodes.

mod logs;
mod platforms;
pub mod proxy_configs;
mod rolling_restart;
mod shutdown;
