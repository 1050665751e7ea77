# A small image of tiny-chat that runs as an unprivileged user. Dependencies are compiled in a layer of their own.
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

FROM debian:bookworm-slim
# The certificates that `tiny-chat doctor https://…` checks against.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /tiny-chat/target/release/tiny-chat /usr/local/bin/
USER 10001:10001
ENV BIND=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s \
    CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && head -1 <&3 | grep -q ' 200 '"]
# The commit that the image was built from: docker build --build-arg REVISION=$(git rev-parse HEAD) …
ARG REVISION=unknown
LABEL org.opencontainers.image.revision=$REVISION
ENTRYPOINT ["tiny-chat"]
