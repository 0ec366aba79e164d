// SPDX-License-Identifier: Apache-2.0

package check

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/hashicorp/hcl/v2/hclparse"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// The compose file starts three members, each after it was prepared.
func TestComposeFile(t *testing.T) {
	opts, err := cli.NewProjectOptions([]string{"../docker/compose.yaml"}, cli.WithProfiles([]string{"*"}))
	if err != nil {
		t.Fatal(err)
	}
	project, err := opts.LoadProject(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"m1", "m2", "m3"} {
		member, err := project.GetService(name)
		if err != nil {
			t.Fatal(err)
		}
		if member.DependsOn[name+"-prepare"].Condition != "service_completed_successfully" || len(member.Ports) != 2 || !member.ReadOnly {
			t.Errorf("%s: %+v", name, member.DependsOn)
		}
		prepare, err := project.GetService(name + "-prepare")
		if err != nil {
			t.Fatal(err)
		}
		first := slices.Contains(prepare.Command, "--first=m1:9100")
		if first != (name == "m1") || prepare.Volumes[0].Source != name {
			t.Errorf("%s-prepare: %q", name, prepare.Command)
		}
	}
	if filepath.Base(project.Services["m1"].Build.Context) == "deploy" {
		t.Error("the image is built from the wrong directory")
	}
}

// The image holds the two programs alone, and runs as an unprivileged user.
func TestDockerfile(t *testing.T) {
	f, err := os.Open("../docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tree, err := parser.Parse(f)
	if err != nil {
		t.Fatal(err)
	}
	if len(tree.Warnings) > 0 {
		t.Errorf("%+v", tree.Warnings)
	}
	stages, _, err := instructions.Parse(tree.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	last := stages[len(stages)-1]
	if !strings.Contains(last.BaseName, "distroless") {
		t.Errorf("made from %s", last.BaseName)
	}
	has := map[string]bool{}
	for _, c := range last.Commands {
		has[strings.ToLower(c.Name())] = true
		if user, is := c.(*instructions.UserCommand); is && user.User != "65532:65532" {
			t.Errorf("runs as %s", user.User)
		}
	}
	for _, want := range []string{"user", "healthcheck", "stopsignal", "entrypoint"} {
		if !has[want] {
			t.Errorf("no %s", want)
		}
	}
}

// The Terraform example is well formed and formatted. Whether its provider
// takes it is not seen here: that needs the provider.
func TestTerraform(t *testing.T) {
	files, err := filepath.Glob("../terraform/*.tf")
	if err != nil || len(files) < 3 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, path := range files {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, problems := hclparse.NewParser().ParseHCL(raw, path); problems.HasErrors() {
			t.Error(problems)
		}
		if string(hclwrite.Format(raw)) != string(raw) {
			t.Errorf("%s is not formatted: terraform fmt deploy/terraform", path)
		}
	}
}
