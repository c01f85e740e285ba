# The sidecar, and the receiver of rollbacks: `docker build -t model-sidecar .`. Stage `demo` adds the flights and the model of the demo.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
RUN python -m venv /venv
COPY pyproject.toml README.md LICENSE requirements.lock ./
RUN /venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY sidecar ./sidecar
RUN /venv/bin/pip install --no-cache-dir --no-deps .

FROM build AS demo
RUN /venv/bin/pip install --no-cache-dir '.[demo]'
COPY demo ./demo
USER 65532:65532
ENTRYPOINT ["/venv/bin/python", "-m", "demo.traffic"]

FROM python:3.13-slim-bookworm AS sidecar
LABEL org.opencontainers.image.title="model-sidecar" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.description="Watches a model's inputs, outputs, latency and errors."
COPY --from=build /venv /venv
USER 65532:65532
EXPOSE 9108
HEALTHCHECK --interval=10s --timeout=3s \
    CMD ["/venv/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/-/healthy', timeout=2)"]
ENTRYPOINT ["/venv/bin/model-sidecar"]
CMD ["serve", "--web.listen-address=:9108"]
