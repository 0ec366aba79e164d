// SPDX-License-Identifier: Apache-2.0

package check

import (
	"io"
	"path"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/yaml"
	sigsyaml "sigs.k8s.io/yaml"
)

const chartDir = "../helm/pilot-registry"

// kinds are the objects that the chart makes, as the Kubernetes API has them.
// A ServiceMonitor is not of that API.
var kinds = map[string]func() any{
	"ConfigMap":           func() any { return &corev1.ConfigMap{} },
	"NetworkPolicy":       func() any { return &networkingv1.NetworkPolicy{} },
	"PodDisruptionBudget": func() any { return &policyv1.PodDisruptionBudget{} },
	"Secret":              func() any { return &corev1.Secret{} },
	"Service":             func() any { return &corev1.Service{} },
	"ServiceAccount":      func() any { return &corev1.ServiceAccount{} },
	"ServiceMonitor":      func() any { return &map[string]any{} },
	"StatefulSet":         func() any { return &appsv1.StatefulSet{} },
}

// render makes the objects of the chart, by kind, and decodes them strictly.
func render(t *testing.T, install bool, values string) map[string][]any {
	t.Helper()
	objects, err := tryRender(t, install, values)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func tryRender(t *testing.T, install bool, values string) (map[string][]any, error) {
	t.Helper()
	c, err := loader.Load(chartDir)
	if err != nil {
		t.Fatal(err)
	}
	told, err := chartutil.ReadValues([]byte(values))
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(c, told, chartutil.ReleaseOptions{Name: "reg", Namespace: "pilot", IsInstall: install, IsUpgrade: !install}, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return nil, err
	}
	objects := map[string][]any{}
	for name, text := range files {
		if path.Ext(name) != ".yaml" {
			continue
		}
		docs := yaml.NewDocumentDecoder(io.NopCloser(strings.NewReader(text)))
		for buf := make([]byte, 1<<20); ; {
			n, err := docs.Read(buf)
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if strings.TrimSpace(string(buf[:n])) == "" {
				continue
			}
			add(t, objects, name, buf[:n])
		}
	}
	return objects, nil
}

func add(t *testing.T, objects map[string][]any, name string, doc []byte) {
	t.Helper()
	var head struct{ Kind string }
	if err := sigsyaml.Unmarshal(doc, &head); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, doc)
	}
	if head.Kind == "" {
		return // comments only
	}
	make, is := kinds[head.Kind]
	if !is {
		t.Fatalf("%s makes a %q, which is not checked here", name, head.Kind)
	}
	object := make()
	if err := sigsyaml.UnmarshalStrict(doc, object); err != nil {
		t.Errorf("%s: %s: %v\n%s", name, head.Kind, err, doc)
	}
	objects[head.Kind] = append(objects[head.Kind], object)
}

// Helm's own check has nothing to say about the chart.
func TestChartIsLinted(t *testing.T) {
	for _, m := range lint.All(chartDir, map[string]any{}, "pilot", true).Messages {
		if m.Severity > support.InfoSev {
			t.Error(m)
		}
	}
}

// The objects are what the Kubernetes API knows, whatever is set.
func TestChartRenders(t *testing.T) {
	for name, values := range map[string]string{
		"as it is":    "",
		"five":        "{replicaCount: 5, antiAffinity: required, serviceMonitor: {enabled: true}}",
		"own secrets": "{adminToken: {existingSecret: a, key: token}, tls: {existingSecret: b, allowPlain: true}, antiAffinity: \"off\"}",
		"closed":      "{networkPolicy: {clients: [{namespaceSelector: {}}], ops: [{namespaceSelector: {matchLabels: {a: b}}}]}, config: {log: {format: json}}}",
		"bare":        "{serviceAccount: {create: false}, podDisruptionBudget: {enabled: false}, networkPolicy: {enabled: false}}",
		"decorated": "{imagePullSecrets: [{name: a}], nodeSelector: {a: b}, tolerations: [{key: a, operator: Exists}], priorityClassName: p, podAnnotations: {a: b}, podLabels: {c: d}, " +
			"extraEnv: [{name: GOMEMLIMIT, value: 1GiB}], topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}], persistence: {storageClass: fast, size: 20Gi}}",
	} {
		t.Run(name, func(t *testing.T) {
			sets := render(t, true, values)["StatefulSet"]
			if len(sets) != 1 {
				t.Fatalf("%d stateful sets", len(sets))
			}
			pod := sets[0].(*appsv1.StatefulSet).Spec.Template.Spec
			member := pod.Containers[0]
			if member.StartupProbe == nil || member.LivenessProbe == nil || member.ReadinessProbe == nil || member.Lifecycle == nil {
				t.Error("a probe or the hand-over before a stop is missing")
			}
			if pod.AutomountServiceAccountToken == nil || *pod.AutomountServiceAccountToken || pod.SecurityContext.RunAsNonRoot == nil {
				t.Error("the pod may do more than it needs")
			}
		})
	}
}

// Only an installation may create a cluster, unless the values say otherwise.
func TestOnlyAnInstallationCreatesACluster(t *testing.T) {
	for _, c := range []struct {
		install bool
		values  string
		want    bool
	}{
		{true, "", true}, {false, "", false},
		{true, "{cluster: {create: never}}", false}, {false, "{cluster: {create: always}}", true},
	} {
		set := render(t, c.install, c.values)["StatefulSet"][0].(*appsv1.StatefulSet)
		args := set.Spec.Template.Spec.InitContainers[0].Args
		first := slices.Contains(args, "--first=reg-pilot-registry-0.reg-pilot-registry-peers.pilot.svc:9100")
		if first != c.want {
			t.Errorf("install %v, %q: %q", c.install, c.values, args)
		}
	}
}

// What the schema of the values does not know is refused.
func TestWrongValuesAreRefused(t *testing.T) {
	for _, values := range []string{
		"{replicaCount: 2}", "{replicas: 3}", "{image: {repo: a}}", "{persistence: {size: lots}}", "{cluster: {create: yes}}",
		"{service: {type: None}}", "{antiAffinity: never}", "{terminationGracePeriodSeconds: 1}",
	} {
		if _, err := tryRender(t, true, values); err == nil {
			t.Errorf("%s was taken", values)
		}
	}
}
