# The sidecar, the injector and the receiver of alerts: `docker build -t model-sidecar .`; docs/image.md says what is in it.
# Stage `demo` adds the flights and the model of the demo.
# To pin the base by digest: --build-arg PYTHON_IMAGE=python:3.13-slim-trixie@sha256:…
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
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

# Only what is needed to run, as a root of its own: no shell, pip or package manager.
FROM ${PYTHON_IMAGE} AS gathered
RUN apt-get update && apt-get install --yes --no-install-recommends binutils
COPY tools/image/gather.py /
COPY --from=build /venv /venv
RUN python /gather.py /root-of-image && mkdir /empty

FROM scratch AS sidecar
ARG PYTHON_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="model-sidecar" \
      org.opencontainers.image.description="Watches a model's inputs, outputs, latency and errors." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}"
COPY --from=gathered /root-of-image /
# So that volumes mounted there can be written to.
COPY --from=gathered --chown=65532:65532 /empty /run/model-sidecar
COPY --from=gathered --chown=65532:65532 /empty /var/lib/model-sidecar
ENV PATH=/venv/bin:/usr/bin LANG=C.UTF-8
USER 65532:65532
EXPOSE 9108
HEALTHCHECK --interval=10s --timeout=3s CMD ["/venv/bin/model-sidecar", "health"]
ENTRYPOINT ["/venv/bin/model-sidecar"]
CMD ["serve", "--web.listen-address=:9108"]
