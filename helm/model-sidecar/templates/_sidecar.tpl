{{- /*
The sidecar of a pod, for templates of your own: declare this chart as a dependency and include these with one dictionary.

  {{- $sidecar := dict "chart" (index .Subcharts "model-sidecar") "model" "fraud" "referenceConfigMap" "fraud-profile" }}

Keys: chart; model, modelVersion, reference, referenceConfigMap, referenceVolume, windows (a list), or configConfigMap;
and any of the values `sidecar` (port, socketDir, user, resources, state, args, scrapeAnnotations), and image.
The admission policy is made of the same templates, with expressions as values; the webhook adds the same.
*/ -}}

{{- define "model-sidecar.sidecar" -}}
{{- $defaults := dict "model" "default" "modelVersion" "" "reference" "" "referenceConfigMap" "" "referenceVolume" "" "windows" list "configConfigMap" "" }}
{{- $all := mergeOverwrite $defaults (deepCopy .chart.Values.sidecar) (omit . "chart") }}
{{- if not .image }}{{ $_ := set $all "image" (include "model-sidecar.image" .chart) }}{{ end }}
{{- $_ := set $all "pullPolicy" .chart.Values.image.pullPolicy }}
{{- if not (hasKey . "native") }}{{ $_ := set $all "native" (include "model-sidecar.native" .chart | eq "true") }}{{ end }}
{{- toYaml $all }}
{{- end }}

{{- /* The container: in initContainers from Kubernetes 1.29, in containers before. */ -}}
{{- define "model-sidecar.container" -}}
{{- $s := include "model-sidecar.sidecar" . | fromYaml -}}
name: model-sidecar
image: {{ $s.image | quote }}
imagePullPolicy: {{ $s.pullPolicy }}
args:
  - serve
  - --config.file=/etc/model-sidecar/sidecar.yml
  - --ingest.listen-address=127.0.0.1:0
  - {{ printf "--ingest.unix-stream=%s/stream" $s.socketDir | quote }}
  - {{ printf "--ingest.unix-datagram=%s/datagram" $s.socketDir | quote }}
  - {{ printf "--ingest.unix-group=%v" $s.user | quote }}
  - {{ printf "--web.listen-address=:%v" $s.port | quote }}
  {{- if $s.state.enabled }}
  - --storage.path=/var/lib/model-sidecar/state
  {{- end }}
  {{- range $s.args }}
  - {{ . | quote }}
  {{- end }}
ports:
  - name: sidecar-metrics
    containerPort: {{ $s.port }}
    protocol: TCP
resources:
  {{- toYaml $s.resources | nindent 2 }}
{{- if $s.native }}
restartPolicy: Always
{{- end }}
startupProbe:
  exec:
    command: [test, -S, {{ printf "%s/stream" $s.socketDir | quote }}]
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
securityContext:
  allowPrivilegeEscalation: false
  capabilities: {drop: [ALL]}
  readOnlyRootFilesystem: true
  runAsGroup: {{ $s.user }}
  runAsNonRoot: true
  runAsUser: {{ $s.user }}
  seccompProfile: {type: RuntimeDefault}
volumeMounts:
  {{- include "model-sidecar.volumeMounts" . | nindent 2 }}
  - name: model-sidecar-config
    mountPath: /etc/model-sidecar
    readOnly: true
  {{- if $s.state.enabled }}
  - name: model-sidecar-state
    mountPath: /var/lib/model-sidecar/state
  {{- end }}
  {{- if $s.referenceVolume }}
  - name: {{ $s.referenceVolume | quote }}
    mountPath: /var/lib/model-sidecar/reference
    readOnly: true
  {{- end }}
{{- end }}

{{- /* A list for volumes of the pod. */ -}}
{{- define "model-sidecar.volumes" -}}
{{- $s := include "model-sidecar.sidecar" . | fromYaml -}}
- name: model-sidecar-socket
  emptyDir: {sizeLimit: 16Mi}
- name: model-sidecar-config
  projected:
    sources:
      {{- if $s.configConfigMap }}
      - configMap: {name: {{ $s.configConfigMap | quote }}}
      {{- else }}
      - downwardAPI:
          items:
            - path: sidecar.yml
              fieldRef:
                apiVersion: v1
                fieldPath: metadata.annotations['model-sidecar.io/config']
      {{- if $s.referenceConfigMap }}
      - configMap:
          name: {{ $s.referenceConfigMap | quote }}
          items:
            - {key: {{ $s.reference | default "profile.json" | quote }}, path: reference.json}
      {{- end }}
      {{- end }}
{{- if $s.state.enabled }}
- name: model-sidecar-state
  emptyDir: {sizeLimit: {{ $s.state.sizeLimit | quote }}}
{{- end }}
{{- end }}

{{- /* A list for volumeMounts of the application's containers. */ -}}
{{- define "model-sidecar.volumeMounts" -}}
{{- $s := include "model-sidecar.sidecar" . | fromYaml -}}
- name: model-sidecar-socket
  mountPath: {{ $s.socketDir | quote }}
{{- end }}

{{- /* A list for env of the application's containers. */ -}}
{{- define "model-sidecar.env" -}}
{{- $s := include "model-sidecar.sidecar" . | fromYaml -}}
- name: MODEL_SIDECAR_SOCKET
  value: {{ printf "unix://%s/stream" $s.socketDir | quote }}
{{- end }}

{{- /* A list for supplementalGroups of the pod's securityContext. */ -}}
{{- define "model-sidecar.supplementalGroups" -}}
{{- $s := include "model-sidecar.sidecar" . | fromYaml -}}
- {{ $s.user }}
{{- end }}

{{- /* Labels of the pod. The injector leaves it alone, since it has its sidecar. */ -}}
{{- define "model-sidecar.podLabels" -}}
{{- $s := include "model-sidecar.sidecar" . | fromYaml -}}
model-sidecar.io/inject: "false"
model-sidecar.io/injected: "true"
{{- if not $s.configConfigMap }}
model-sidecar.io/model: {{ $s.model | quote }}
{{- end }}
{{- end }}

{{- /* Annotations of the pod; the configuration of the sidecar is one of them. */ -}}
{{- define "model-sidecar.podAnnotations" -}}
{{- $s := include "model-sidecar.sidecar" . | fromYaml -}}
{{- if not $s.configConfigMap }}
model-sidecar.io/config: {{ include "model-sidecar.configuration" . | squote }}
{{- end }}
{{- if $s.scrapeAnnotations }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ printf "%v" $s.port | quote }}
prometheus.io/path: /metrics
{{- end }}
{{- end }}

{{- define "model-sidecar.configuration" -}}
{{- $s := include "model-sidecar.sidecar" . | fromYaml -}}
{"models":[{"name":{{ $s.model | toJson }}
{{- with $s.modelVersion }},"version":{{ toJson . }}{{ end }}
{{- if $s.referenceConfigMap }},"reference":"reference.json"
{{- else if $s.referenceVolume }},"reference":{{ printf "/var/lib/model-sidecar/reference/%s" $s.reference | toJson }}
{{- else if $s.reference }},"reference":{{ $s.reference | toJson }}
{{- end }}
{{- with $s.windows }},"windows":{{ toJson . }}{{ end }}}]}
{{- end }}
