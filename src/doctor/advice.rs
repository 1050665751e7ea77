//! The lines to change, proxy by proxy. Where one is not named, it has nothing to be changed.

/// Who has to change what.
pub type Advice = &'static [(&'static str, &'static str)];

/// Streams have to go out as they come.
pub const UNBUFFERED: Advice = &[
    (
        "nginx",
        "location /subscribe/ { proxy_buffering off; }  and no proxy_ignore_headers X-Accel-Buffering",
    ),
    ("Caddy", "reverse_proxy … { flush_interval -1 }"),
    ("HAProxy", "no http-response wait-for-body, and no filter that collects bodies"),
    ("Cloudflare", "Response Buffering: off, as it is unless somebody changed it"),
    ("Heroku", "its router holds nothing back; if an nginx runs in the dyno, see nginx"),
];

/// Streams may not be compressed.
pub const UNCOMPRESSED: Advice = &[
    ("nginx", "gzip_types without text/event-stream and without *, or location /subscribe/ { gzip off; }"),
    ("Caddy", "@pages not path /subscribe/*  and  encode @pages gzip zstd"),
    ("HAProxy", "compression type … without text/event-stream"),
    ("Cloudflare", "a Compression Rule for /subscribe/*: no compression"),
];

/// `Cache-Control` has to go through.
pub const NO_TRANSFORM: Advice = &[
    ("nginx", "no expires, proxy_hide_header Cache-Control or add_header Cache-Control for /subscribe/"),
    ("Caddy", "no header Cache-Control … for /subscribe/*"),
    ("HAProxy", "no http-response set-header Cache-Control … for /subscribe/"),
    ("Cloudflare", "Browser Cache TTL: respect existing headers"),
];

/// A silent stream has to live longer than a heartbeat.
pub const PATIENT: Advice = &[
    ("nginx", "location /subscribe/ { proxy_read_timeout 75s; }  longer than HEARTBEAT"),
    ("Caddy", "no read_timeout or write_timeout in transport http, no timeouts { write … } in servers"),
    ("HAProxy", "timeout client 75s  and  timeout server 75s"),
    ("Cloudflare", "cuts after 100 s without a byte: leave HEARTBEAT=15 on the nodes"),
    ("Heroku", "cuts after 55 s without a byte: leave HEARTBEAT=15 on the nodes"),
];

/// HTTP/2, for browsers with many tabs.
pub const HTTP_2: Advice = &[
    ("nginx", "listen 443 ssl http2;  (from 1.25.1 on: listen 443 ssl; http2 on;)"),
    ("Caddy", "a domain as the site's address is enough"),
    ("HAProxy", "bind :443 ssl crt … alpn h2,http/1.1"),
    ("Cloudflare", "Speed, Settings, Protocol: HTTP/2 on"),
    ("Heroku", "a domain of your own with a certificate, and heroku features:enable http-routing-2-dot-0"),
];

/// A reader's place has to go through.
pub const LAST_EVENT_ID: Advice = &[
    ("nginx", "no proxy_set_header Last-Event-ID \"\" and no proxy_pass_request_headers off"),
    ("Caddy", "no header_up -Last-Event-ID"),
    ("HAProxy", "no http-request del-header Last-Event-ID"),
    ("Cloudflare", "no Transform Rule that removes or sets Last-Event-ID"),
];

/// Nothing may be answered from a cache or changed by the way.
pub const UNCACHED: Advice = &[
    ("nginx", "location /subscribe/ { proxy_cache off; }"),
    ("Caddy", "no cache handler for /subscribe/*"),
    ("HAProxy", "no http-request cache-use for /subscribe/"),
    ("Cloudflare", "a Cache Rule for /subscribe/* and /history/*: bypass"),
];

/// The outermost proxy says who asks, and believes nobody else about it.
pub const FORWARDED_FOR: Advice = &[
    (
        "nginx",
        "proxy_set_header X-Forwarded-For $remote_addr;  (behind another proxy: $proxy_add_x_forwarded_for)",
    ),
    (
        "Caddy",
        "sets it by itself: no header_up X-Forwarded-For …, and trusted_proxies no wider than needed",
    ),
    ("HAProxy", "http-request set-header X-Forwarded-For %[src]"),
    (
        "Cloudflare",
        "sets it by itself: TRUSTED_PROXIES has to hold its networks, https://www.cloudflare.com/ips/",
    ),
    ("Heroku", "sets it by itself: TRUSTED_PROXIES=10.0.0.0/8"),
];

/// Every node has to see the same log.
pub const ONE_REDIS: Advice = &[("every node", "the same REDIS_URL and the same REDIS_PREFIX")];
