//! The settings to change in each proxy. A proxy that is not listed needs no change.

/// Pairs of a proxy (or "every node") and the setting to change there.
pub(super) type Advice = &'static [(&'static str, &'static str)];

/// Pass on stream data as it arrives.
pub(super) const DISABLE_BUFFERING: Advice = &[
    (
        "nginx",
        "location /subscribe/ { proxy_buffering off; }  and no proxy_ignore_headers X-Accel-Buffering",
    ),
    ("Caddy", "reverse_proxy … { flush_interval -1 }"),
    ("HAProxy", "no http-response wait-for-body, and no filter that collects bodies"),
    ("Cloudflare", "Response Buffering: off, which is the default"),
    ("Heroku", "its router does not buffer; if an nginx runs in the dyno, see nginx"),
];

/// Leave streams uncompressed.
pub(super) const DISABLE_COMPRESSION: Advice = &[
    ("nginx", "gzip_types without text/event-stream and without *, or location /subscribe/ { gzip off; }"),
    ("Caddy", "@pages not path /subscribe/*  and  encode @pages gzip zstd"),
    ("HAProxy", "compression type … without text/event-stream"),
    ("Cloudflare", "a Compression Rule for /subscribe/*: no compression"),
];

/// Pass on `Cache-Control` unchanged.
pub(super) const KEEP_CACHE_CONTROL: Advice = &[
    ("nginx", "no expires, proxy_hide_header Cache-Control or add_header Cache-Control for /subscribe/"),
    ("Caddy", "no header Cache-Control … for /subscribe/*"),
    ("HAProxy", "no http-response set-header Cache-Control … for /subscribe/"),
    ("Cloudflare", "Browser Cache TTL: respect existing headers"),
];

/// Pass on a stream in chunks.
pub(super) const KEEP_CHUNKS: Advice = &[
    ("nginx", "no chunked_transfer_encoding off"),
    ("any other", "HTTP/1.1 and not 1.0 towards its clients"),
    ("every node", "this version or a later one: older ones send no chunks"),
];

/// Pass on `Content-Type` unchanged.
pub(super) const KEEP_CONTENT_TYPE: Advice = &[
    (
        "nginx",
        "no proxy_hide_header Content-Type, no add_header Content-Type and no charset for /subscribe/",
    ),
    ("Caddy", "no header Content-Type … for /subscribe/*"),
    ("HAProxy", "no http-response set-header Content-Type … for /subscribe/"),
    ("every node", "this version or a later one: older ones name no charset"),
];

/// Leave the blocks of a stream as they are.
pub(super) const KEEP_BLOCKS: Advice = &[
    (
        "a gateway",
        "no keep-alive comments and no ids of its own: the node sends heartbeats, which clients see",
    ),
    ("every node", "this version or a later one: older ones write the cursor in a block of its own"),
];

/// Keep a silent stream open for longer than the heartbeat interval.
pub(super) const RAISE_READ_TIMEOUT: Advice = &[
    ("nginx", "location /subscribe/ { proxy_read_timeout 75s; }  longer than HEARTBEAT"),
    ("Caddy", "no read_timeout or write_timeout in transport http, no timeouts { write … } in servers"),
    ("HAProxy", "timeout client 75s  and  timeout server 75s"),
    ("Cloudflare", "closes a stream after 100 s without a byte: keep HEARTBEAT=15 on the nodes"),
    ("Heroku", "closes a stream after 55 s without a byte: keep HEARTBEAT=15 on the nodes"),
];

/// Speak HTTP/2 to browsers.
pub(super) const ENABLE_HTTP_2: Advice = &[
    ("nginx", "listen 443 ssl http2;  (since 1.25.1: listen 443 ssl; http2 on;)"),
    ("Caddy", "on by default if the site address is a domain name"),
    ("HAProxy", "bind :443 ssl crt … alpn h2,http/1.1"),
    ("Cloudflare", "Speed, Settings, Protocol: HTTP/2 on"),
    ("Heroku", "a custom domain with a certificate, and heroku features:enable http-routing-2-dot-0"),
];

/// Pass on the `Last-Event-ID` request header.
pub(super) const KEEP_LAST_EVENT_ID: Advice = &[
    ("nginx", "no proxy_set_header Last-Event-ID \"\" and no proxy_pass_request_headers off"),
    ("Caddy", "no header_up -Last-Event-ID"),
    ("HAProxy", "no http-request del-header Last-Event-ID"),
    ("Cloudflare", "no Transform Rule that removes or sets Last-Event-ID"),
];

/// Answer nothing from a cache.
pub(super) const DISABLE_CACHING: Advice = &[
    ("nginx", "location /subscribe/ { proxy_cache off; }"),
    ("Caddy", "no cache handler for /subscribe/*"),
    ("HAProxy", "no http-request cache-use for /subscribe/"),
    ("Cloudflare", "a Cache Rule for /subscribe/* and /history/*: bypass"),
];

/// Replace `X-Forwarded-For` with the address of the client at the outermost proxy.
pub(super) const SET_FORWARDED_FOR: Advice = &[
    (
        "nginx",
        "proxy_set_header X-Forwarded-For $remote_addr;  (behind another proxy: $proxy_add_x_forwarded_for)",
    ),
    (
        "Caddy",
        "sets it by default: no header_up X-Forwarded-For …, and trusted_proxies no wider than needed",
    ),
    ("HAProxy", "http-request set-header X-Forwarded-For %[src]"),
    (
        "Cloudflare",
        "sets it by default: TRUSTED_PROXIES must contain its networks, https://www.cloudflare.com/ips/",
    ),
    ("Heroku", "sets it by default: TRUSTED_PROXIES=10.0.0.0/8"),
];

/// Give every node the same log.
pub(super) const SHARE_ONE_REDIS: Advice = &[("every node", "the same REDIS_URL and the same REDIS_PREFIX")];
