# One image for every process of docker-compose.yml.

FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements-server.lock pyproject.toml ./
RUN python -m venv /opt/rowmill \
    && /opt/rowmill/bin/pip install --no-cache-dir --require-hashes -r requirements-server.lock
COPY README.md celeryconfig.py ./
COPY api api
COPY base base
COPY jobs jobs
COPY models models
COPY rowmill rowmill
COPY workers workers
RUN /opt/rowmill/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.12-slim
# scikit-learn and numpy find OpenMP in their own wheels; nothing else is needed from the system
RUN useradd --create-home --uid 10001 rowmill && install -d -o rowmill -g rowmill /data
COPY --from=build /opt/rowmill /opt/rowmill
ENV PATH=/opt/rowmill/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1 \
    ROWMILL_DATA_DIR=/data \
    ROWMILL_HOST=0.0.0.0
USER rowmill
# not the data folder: its `models` would be imported instead of ours
WORKDIR /home/rowmill
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
    ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["gunicorn", "-c", "python:rowmill.stack.gunicorn_settings", "--bind", "0.0.0.0:8000", "api:create_app()"]
