{{- define "registry.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "registry.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "registry.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "registry.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "registry.selector" -}}
app.kubernetes.io/name: {{ include "registry.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "registry.labels" -}}
{{ include "registry.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "registry.peers" -}}{{ include "registry.fullname" . }}-peers{{- end -}}
{{- define "registry.domain" -}}{{ include "registry.peers" . }}.{{ .Release.Namespace }}.svc{{- end -}}
{{- define "registry.tokenSecret" -}}{{ default (printf "%s-admin" (include "registry.fullname" .)) .Values.adminToken.existingSecret }}{{- end -}}
{{- define "registry.tlsSecret" -}}{{ default (printf "%s-tls" (include "registry.fullname" .)) .Values.tls.existingSecret }}{{- end -}}
{{- define "registry.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}{{ default (include "registry.fullname" .) .Values.serviceAccount.name }}
{{- else -}}{{ default "default" .Values.serviceAccount.name }}{{- end -}}
{{- end -}}

{{/* The client addresses of all members. */}}
{{- define "registry.members" -}}
{{- $all := list -}}
{{- range $i := until (int .Values.replicaCount) -}}
{{- $all = append $all (printf "%s-%d.%s:9000" (include "registry.fullname" $) $i (include "registry.domain" $)) -}}
{{- end -}}
{{- join "," $all -}}
{{- end -}}

{{/* Whether the first member may create the cluster. */}}
{{- define "registry.create" -}}
{{- if or (eq .Values.cluster.create "always") (and (eq .Values.cluster.create "auto") .Release.IsInstall) -}}yes{{- end -}}
{{- end -}}

{{- define "registry.container" -}}
image: "{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}"
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
env:
  - name: POD_NAME
    valueFrom: {fieldRef: {fieldPath: metadata.name}}
  - {name: PILOT_REGISTRY_CONFIG, value: /etc/pilot-registry/config.yaml}
  - {name: PILOT_REGISTRY_PEER_ADVERTISE, value: "$(POD_NAME).{{ include "registry.domain" . }}:9100"}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
volumeMounts:
  - {name: data, mountPath: /var/lib/pilot-registry}
  - {name: config, mountPath: /etc/pilot-registry, readOnly: true}
  - {name: tls, mountPath: /etc/pilot-registry-tls, readOnly: true}
  - {name: tmp, mountPath: /tmp}
{{- end -}}
