# podstead: one daemon that keeps a server's containers as its manifests say.
#
#   make run     build everything and keep the pods of examples/ until Ctrl-C
#   make test    run every test
#   make help    list the targets

SHELL       := /bin/bash
BIN         := bin
LDFLAGS     := -s -w
# What a server needs of containerd and nothing else: no CRI, no other file systems.
CONTAINERD_TAGS := no_cri no_btrfs no_zfs no_devmapper
# Without it grpc brings golang.org/x/net/trace and with that html/template,
# whose reflection keeps the linker from leaving out any exported method.
TAGS        := grpcnotrace
CONTAINERD  := github.com/containerd/containerd/v2

export CGO_ENABLED := 0

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: deps
deps: ## install what the host lacks: runc, nftables, iproute2
	@./scripts/deps

.PHONY: build
build: ## build bin/podstead, its logger and pause, and the containerd and shim that belong to it
	@mkdir -p $(BIN)
	go build -ldflags '$(LDFLAGS)' -tags '$(TAGS)' -o $(BIN)/ ./cmd/podstead ./cmd/podstead-logger ./cmd/podstead-pause
	go build -ldflags '-s -w' -tags '$(CONTAINERD_TAGS)' -o $(BIN)/ $(CONTAINERD)/cmd/containerd $(CONTAINERD)/cmd/containerd-shim-runc-v2

.PHONY: packages
packages: export LDFLAGS := $(LDFLAGS)
packages: export TAGS := $(TAGS)
packages: export CONTAINERD_TAGS := $(CONTAINERD_TAGS)
packages: export CONTAINERD := $(CONTAINERD)
packages: ## build bin/packages/*.deb and *.rpm for amd64 and arm64
	@./scripts/packages

.PHONY: run
run: deps build ## keep the pods of examples/ until Ctrl-C, everything below one private folder
	go build -o $(BIN)/podstead-try ./examples/try
	@exec $(BIN)/podstead-try

.PHONY: test
test: deps build ## run every test
	@./scripts/deps --test
	go vet ./...
	go test -timeout 14m -p 2 $$(go list ./... | grep -v -e /test/e2e -e /test/faults -e /test/packages)
	go test -timeout 25m -p 1 ./test/e2e ./test/faults

.PHONY: test-packages
test-packages: packages ## build the packages again elsewhere, and install, upgrade and purge them
	go test -timeout 40m -count 1 ./test/packages

.PHONY: test-host
test-host: export ARCHES := amd64
test-host: export FORMATS := deb
test-host: deps packages ## boot Debian under QEMU and test podstead there: cgroup v2, reboots, power cuts
	@./scripts/deps --host
	@mkdir -p $(BIN)/host
	go test ./test/guest/...
	go test -timeout 40m -count 1 -v -artifacts -outputdir $(BIN)/host ./test/host -args -host

.PHONY: bench
bench: deps build ## compare with a bare containerd client and write the table of docs/performance.md
	go test -timeout 20m -count 1 -run '^TestBench' -v ./test/bench -args -bench.write

.PHONY: faults
faults: deps build ## inject random faults for FAULTS (default 15m) and judge offline
	go test -timeout 0 -count 1 -run '^TestFaults' -v ./test/faults -args -faults.duration=$(or $(FAULTS),15m)

.PHONY: lint
lint: ## run the linters, pinned in tools/go.mod
	go -C tools build -o ../$(BIN)/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	$(BIN)/golangci-lint run ./...

.PHONY: vulncheck
vulncheck: ## look for known vulnerabilities (asks vuln.go.dev)
	go -C tools build -o ../$(BIN)/govulncheck golang.org/x/vuln/cmd/govulncheck
	$(BIN)/govulncheck ./...

.PHONY: generate
generate: ## write generated pages anew
	go generate ./...

.PHONY: clean
clean: ## remove what was built
	rm -rf $(BIN)
