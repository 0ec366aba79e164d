// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// bothModules are the packages of the product and of its tests, as every
// target of the Makefile names them; the slowest come first.
var bothModules = []string{"./integration/...", "./..."}

// ownModule is a module that go.work leaves out, so that what its tools need
// changes no version of the product's; make e2e tests it.
const ownModule = "deploy/check"

// TestEveryPackageIsInAModule: a folder with Go files that no module
// covers would be built and tested by nobody.
func TestEveryPackageIsInAModule(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", append([]string{"list", "-e", "-f", "{{.Dir}}"}, bothModules...)...)
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	listed := strings.Split(strings.TrimSpace(string(out)), "\n")
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".")),
			path == filepath.Join(root, ownModule):
			return filepath.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		found++
		if !slices.Contains(listed, filepath.Dir(path)) {
			t.Errorf("%s is in no package of %s", path, strings.Join(bothModules, " or "))
			return filepath.SkipDir
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d Go files, %v", found, err)
	}
}

// TestTargetsRunBothModules: the Makefile names the same packages.
func TestTargetsRunBothModules(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw)
	if want := "PKGS     := " + strings.Join(bothModules, " "); !strings.Contains(text, want+"\n") {
		t.Errorf("the Makefile does not say %q", want)
	}
	for _, command := range []string{"$(GO) test -timeout", "$(GO) test -race", "$(GO) vet", "$(GO) tool staticcheck", "$(GO) list"} {
		for _, line := range strings.Split(text, "\n") {
			if strings.Contains(line, command) && !strings.Contains(line, "$(PKGS)") {
				t.Errorf("%q leaves packages out", strings.TrimSpace(line))
			}
		}
		if !strings.Contains(text, command) {
			t.Errorf("no target runs %s", command)
		}
	}
}

// TestBothModulesAgreeOnVersions: what the tests run is what the programs are
// built of.
func TestBothModulesAgreeOnVersions(t *testing.T) {
	t.Parallel()
	versions := func(path string) map[string]string {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, m := range regexp.MustCompile(`(?m)^\t(\S+) (v\S+)`).FindAllStringSubmatch(string(raw), -1) {
			out[m[1]] = m[2]
		}
		return out
	}
	product, tests := versions("../go.mod"), versions("go.mod")
	if len(product) == 0 || len(tests) == 0 {
		t.Fatal(product, tests)
	}
	for path, version := range tests {
		if theirs, ok := product[path]; ok && theirs != version {
			t.Errorf("%s: %s in go.mod, %s in integration/go.mod", path, theirs, version)
		}
	}
}

// TestSDKBringsNothing: a program that uses the SDK links nothing but the
// standard library and the protocol.
func TestSDKBringsNothing(t *testing.T) {
	t.Parallel()
	list := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./protocol/client")
	list.Dir = ".."
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(string(out)) {
		if !within(path, module+"/protocol") {
			t.Errorf("the SDK links %s", path)
		}
	}
}

// TestAProgramWithTheSDKDownloadsNothing: go.mod names what the programs and
// the tests need, and module pruning keeps all of it from those who import the
// SDK only: nothing is downloaded or gets into their go.sum.
func TestAProgramWithTheSDKDownloadsNothing(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":  "module example.com/program\n\ngo 1.26\n\nrequire " + module + " v0.1.0\n\nreplace " + module + " => " + root + "\n",
		"main.go": "package main\n\nimport \"" + module + "/protocol/client\"\n\nfunc main() { _, _ = client.NewIdentity() }\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"mod", "tidy"}, {"build", "-o", os.DevNull, "."}} {
		c := exec.Command("go", args...)
		c.Dir = dir
		c.Env = append(os.Environ(), "GOWORK=off", "GOPROXY=off", "GOFLAGS=-mod=mod", "GOMODCACHE="+filepath.Join(dir, "cache"))
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	if sums, err := os.ReadFile(filepath.Join(dir, "go.sum")); err == nil {
		t.Errorf("its go.sum lists:\n%s", sums)
	}
}
