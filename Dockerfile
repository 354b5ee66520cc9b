# A static binary (musl) in an image that holds nothing else but root certificates. Build with BuildKit, Docker's default:
#   docker build -t agp .

FROM node:22-alpine AS panel
WORKDIR /src
COPY frontend/package.json frontend/package-lock.json frontend/.npmrc ./
RUN npm ci
COPY frontend ./
RUN npm run build

FROM rust:1.95-alpine AS build
# The TLS library is C and assembler.
RUN apk add --no-cache build-base
WORKDIR /src
COPY . .
COPY --from=panel /src/dist frontend/dist
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin agp && cp target/release/agp /agp
# The last image has no shell to make a folder with. A new volume takes over owner and mode.
RUN mkdir -m 0700 /state

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /agp /usr/local/bin/agp
COPY --from=build --chown=65532:65532 /state /var/lib/agp
COPY LICENSE /usr/share/doc/agp/LICENSE

# In the file, `server.listen` must not be loopback, or nobody outside of the container reaches it: "0.0.0.0:8088", or set
# AGP__SERVER__LISTEN=0.0.0.0:8088 beside it.
ENV AGP_CONFIG=/etc/agp/agp.toml \
    AGP_STATE_DIR=/var/lib/agp
VOLUME /var/lib/agp
EXPOSE 8088
USER 65532:65532
STOPSIGNAL SIGTERM

# Reads the same file and variables, so that it asks where the gateway listens.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/agp", "healthcheck", "--config", "/etc/agp/agp.toml"]

ENTRYPOINT ["/usr/local/bin/agp"]
CMD ["serve", "--config", "/etc/agp/agp.toml"]
