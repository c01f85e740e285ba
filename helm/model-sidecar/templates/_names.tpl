{{- define "model-sidecar.kubeVersion" -}}
{{- .Values.kubeVersion | default .Capabilities.KubeVersion.Version }}
{{- end }}

{{- define "model-sidecar.image" -}}
{{- $image := .Values.image }}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ $image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* Whether sidecars are native: init containers that go on. */ -}}
{{- define "model-sidecar.native" -}}
{{- $asked := .Values.injector.nativeSidecars | toString }}
{{- if eq $asked "auto" }}{{ semverCompare ">=1.29.0-0" (include "model-sidecar.kubeVersion" .) }}{{ else }}{{ $asked }}{{ end }}
{{- end }}

{{- /* The name of what is in no namespace; Helm lints without one. */ -}}
{{- define "model-sidecar.clusterName" -}}
{{- printf "%s-%s" .Release.Name .Release.Namespace | trimSuffix "-" }}
{{- end }}

{{- /* The labels that tell the pods of a part: dict "root" $ "part" "injector". */ -}}
{{- define "model-sidecar.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "model-sidecar.partLabels" -}}
{{- include "model-sidecar.labels" .root }}
app.kubernetes.io/component: {{ .part }}
{{- end }}

{{- define "model-sidecar.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "model-sidecar.securityContext" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end }}

{{- define "model-sidecar.spread" -}}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "model-sidecar.selector" . | nindent 6 }}
- maxSkew: 1
  topologyKey: topology.kubernetes.io/zone
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "model-sidecar.selector" . | nindent 6 }}
{{- end }}

{{- /* Probes of a part: dict "port" "https" "scheme" "HTTPS". */ -}}
{{- define "model-sidecar.probes" -}}
readinessProbe:
  httpGet: {path: /-/ready, port: {{ .port }}, scheme: {{ .scheme }}}
  periodSeconds: 5
  timeoutSeconds: 2
livenessProbe:
  httpGet: {path: /-/healthy, port: {{ .port }}, scheme: {{ .scheme }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
{{- end }}
