//! Plain requests: pages and assets, history, health, methods, cross-site rules.

mod cross_site;
mod health;
mod history;
mod methods;
mod pages;
