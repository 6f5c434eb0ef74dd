# The operator's image: what requirements.lock pins, and this checkout. Gateway and agent are arguments:
# the chart runs operator/all_in_one.py, or operator/gateway.py and operator/agent.py apart.
FROM python:3.11-slim AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /app/.venv \
 && /app/.venv/bin/pip install --no-cache-dir --no-compile --require-hashes --requirement requirements.lock
COPY pyproject.toml requirements-dev.lock ./
COPY cloudherd ./cloudherd
COPY controllers ./controllers
RUN grep -oE '^setuptools==[^ ]+' requirements-dev.lock >build.lock \
 && PIP_CONSTRAINT=build.lock /app/.venv/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim
COPY --from=build /app /app
COPY operator /app/operator
WORKDIR /app
ENV PATH=/app/.venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
ENTRYPOINT ["kopf", "run"]
CMD ["--all-namespaces", "operator/all_in_one.py"]
