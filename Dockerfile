# The sidecar: `extproc serve`. Envoy is a container of its own, so nothing of it is in here.
FROM python:3.12-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY envoy/examples envoy/examples
COPY extproc extproc
RUN python -m venv /opt/extproc && /opt/extproc/bin/pip install --no-cache-dir .

FROM python:3.12-slim
RUN useradd --system --uid 10001 --create-home --home-dir /var/lib/extproc extproc
COPY --from=build /opt/extproc /opt/extproc
ENV PATH=/opt/extproc/bin:$PATH PYTHONUNBUFFERED=1
# A number, so that Kubernetes can tell that it is not root.
USER 10001
WORKDIR /var/lib/extproc
EXPOSE 50051 50052 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=2)"]
ENTRYPOINT ["extproc"]
CMD ["serve", "--resources", "/etc/extproc"]
