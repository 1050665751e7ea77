# An image of the program, the libraries that it loads and certificates, without a shell or any other program. It runs as an
# unprivileged user. Dependencies are compiled in a layer of their own.
#   docker build -t tiny-chat . && docker run -p 8080:8080 -e REDIS_URL=redis://… tiny-chat

FROM rust:1-slim-bookworm AS build
WORKDIR /tiny-chat
COPY Cargo.toml Cargo.lock ./
# Compiles the dependencies with an empty program, so that this layer is rebuilt only when a dependency changes.
RUN mkdir src build && touch src/lib.rs && echo 'fn main() {}' | tee src/main.rs > build/main.rs \
    && cargo build --release --locked && rm -r src build
COPY build build
COPY src src
COPY templates templates
COPY assets assets
RUN touch build/main.rs src/lib.rs src/main.rs && cargo build --release --locked

FROM build AS files
# ldd names the libraries that the program loads, and what loads them. Names of hosts are resolved by glibc alone: from
# /etc/hosts, which Docker writes, and by DNS. The certificates are those that `tiny-chat doctor https://…` checks against.
RUN mkdir -p /image/usr/local/bin /image/etc/ssl/certs && cp target/release/tiny-chat /image/usr/local/bin/ \
    && cp -L --parents $(ldd target/release/tiny-chat | grep -o '/[^ ]*') /image \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && echo 'hosts: files dns' >/image/etc/nsswitch.conf \
    && echo 'tiny-chat:x:10001:10001::/:/nonexistent' >/image/etc/passwd

FROM scratch
COPY --from=files /image /
USER 10001:10001
ENV BIND=0.0.0.0:8080 PATH=/usr/local/bin
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s CMD ["tiny-chat", "health"]
# The commit that the image was built from: docker build --build-arg REVISION=$(git rev-parse HEAD) …
ARG REVISION=unknown
LABEL org.opencontainers.image.revision=$REVISION
LABEL org.opencontainers.image.source=https://github.com/tiny-chat/tiny-chat
LABEL org.opencontainers.image.licenses=MIT
LABEL org.opencontainers.image.description="A chat server over Server-Sent Events"
ENTRYPOINT ["tiny-chat"]
