# syntax=docker/dockerfile:1
# The server in an image without shell or package manager, as an unprivileged user; a read-only root file system is
# enough (docker run --read-only), and only /var/lib/spotify-mcp is written to: the SQLite database and the audit trail.
#
#   docker build -t spotify-mcp .
#   docker run --rm -p 127.0.0.1:8000:8000 --read-only --cap-drop ALL -v spotify-mcp:/var/lib/spotify-mcp \
#       --env-file env spotify-mcp                                   (deploy/env.example lists the variables)

FROM docker.io/library/rust:1.95-slim-trixie AS build
WORKDIR /build
COPY . .
# The image's lock file is the only source of versions; the caches stay out of the image. cargo-auditable puts the exact
# list of packages into the program, which `security-check deps` reads; should it fail, the program is built without, and
# SMC7001 says so.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo install --locked --version 0.7.7 cargo-auditable \
    && { cargo auditable build --release --locked --bin spotify-mcp \
        || cargo build --release --locked --bin spotify-mcp; } \
    && install -D -m 0755 target/release/spotify-mcp /image/usr/local/bin/spotify-mcp \
    && install -d -m 0700 /image/var/lib/spotify-mcp

FROM gcr.io/distroless/cc-debian13:nonroot
LABEL org.opencontainers.image.title="spotify-mcp" \
      org.opencontainers.image.description="Lets a group of people use their own Spotify from any MCP client" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /image/usr/local/bin/spotify-mcp /usr/local/bin/spotify-mcp
COPY --from=build --chown=65532:65532 /image/var/lib/spotify-mcp /var/lib/spotify-mcp

# Within the container it must listen on every address; outside, publish it behind TLS. Anything but loopback must
# also name its DEPLOYMENT_ENVIRONMENT and PUBLIC_URL: the image presumes neither, and holds no key.
ENV SERVER_HOST=0.0.0.0 \
    SERVER_PORT=8000 \
    DATA_DIR=/var/lib/spotify-mcp
USER 65532:65532
VOLUME ["/var/lib/spotify-mcp"]
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/spotify-mcp", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/spotify-mcp"]
CMD ["serve"]
