// SPDX-License-Identifier: Apache-2.0

package check

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	yaml "go.yaml.in/yaml/v3"
)

// root is the directory of the repository.
const root = "../.."

// packageConfig is what the release's configuration says of the packages, as
// the packager alone reads it.
func packageConfig(t *testing.T, programs string) nfpm.Config {
	t.Helper()
	raw, err := os.ReadFile("deploy/goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var release struct {
		NFPMs []map[string]any `yaml:"nfpms"`
	}
	if err := yaml.Unmarshal(raw, &release); err != nil || len(release.NFPMs) != 1 {
		t.Fatalf("%d packages, %v", len(release.NFPMs), err)
	}
	p := release.NFPMs[0]
	p["name"], p["version"], p["arch"] = p["package_name"], "0.0.1", "amd64"
	for _, key := range []string{"id", "ids", "package_name", "formats", "mtime"} {
		delete(p, key)
	}
	contents := p["contents"].([]any)
	for _, program := range []string{"pilot-registry", "pilotctl"} {
		contents = append(contents, map[string]any{"src": filepath.Join(programs, program), "dst": "/usr/bin/" + program, "file_info": map[string]any{"mode": 0o755}})
	}
	p["contents"] = contents
	text, err := yaml.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	c, err := nfpm.Parse(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// build makes a package of programs that were built.
func build(t *testing.T, bin, format string) string {
	t.Helper()
	run(t, "go", "build", "-trimpath", "-o", bin+"/", "./cmd/...")
	run(t, "deploy/package/completions.sh", "dist-completions", bin)
	t.Chdir(root)
	t.Cleanup(func() { _ = os.RemoveAll("dist-completions") })
	c := packageConfig(t, bin)
	info, err := c.Get(format)
	if err != nil {
		t.Fatal(err)
	}
	info = nfpm.WithDefaults(info)
	if err := nfpm.PrepareForPackager(info, format); err != nil {
		t.Fatal(err)
	}
	p, err := nfpm.Get(format)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), p.ConventionalFileName(info))
	f, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Package(info, f); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// Both packages can be made; the Debian one brings what the unit needs, and
// passes dpkg.
func TestPackages(t *testing.T) {
	bin := t.TempDir()
	run(t, "go", "build", "-trimpath", "-o", bin+"/", "./cmd/...")
	t.Run("rpm", func(t *testing.T) {
		if info, err := os.Stat(build(t, bin, "rpm")); err != nil || info.Size() < 1<<20 {
			t.Errorf("%v, %v", info, err)
		}
	})
	t.Run("deb", func(t *testing.T) {
		if _, err := exec.LookPath("dpkg-deb"); err != nil {
			t.Skip("there is no dpkg-deb here: the Debian package is not looked at")
		}
		lookInto(t, build(t, bin, "deb"))
	})
}

func lookInto(t *testing.T, deb string) {
	t.Helper()
	contents, err := exec.CommandContext(t.Context(), "dpkg-deb", "--contents", deb).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, contents)
	}
	for _, want := range []string{
		"./usr/bin/pilot-registry", "./usr/bin/pilotctl", "./etc/pilot-registry/config.yaml", "./usr/lib/systemd/system/pilot-registry.service",
		"./usr/share/man/man1/pilot-registry-run.1", "./usr/share/man/man1/pilotctl.1", "./usr/share/bash-completion/completions/pilotctl",
	} {
		if !strings.Contains(string(contents), want+"\n") {
			t.Errorf("the package lacks %s", want)
		}
	}
	unpacked(t, deb)
}

// unpacked looks at the scripts and the configuration in the package.
func unpacked(t *testing.T, deb string) {
	t.Helper()
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--raw-extract", deb, dir).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	conffiles, err := os.ReadFile(filepath.Join(dir, "DEBIAN", "conffiles"))
	if err != nil || strings.TrimSpace(string(conffiles)) != "/etc/pilot-registry/config.yaml" {
		t.Errorf("conffiles: %q, %v", conffiles, err)
	}
	for _, script := range []string{"preinst", "postinst", "prerm", "postrm"} {
		if out, err := exec.CommandContext(t.Context(), "sh", "-n", filepath.Join(dir, "DEBIAN", script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v %s", script, err, out)
		}
	}
	config := filepath.Join(dir, "etc", "pilot-registry", "config.yaml")
	out, err = exec.CommandContext(t.Context(), filepath.Join(dir, "usr", "bin", "pilot-registry"), "config", "validate", "--config", config, "--peer-advertise", "m1.example.net:9100").CombinedOutput()
	if err != nil {
		t.Errorf("the configuration in the package: %v\n%s", err, out)
	}
}
