{{- define "model-sidecar.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- /* Every rule file with this site's links, as one dictionary from its base name to its groups. */ -}}
{{- define "model-sidecar.groups" -}}
{{- $files := dict }}
{{- range $path, $_ := .Files.Glob "rules/*.yml" }}
{{- $text := $.Files.Get $path
    | replace "https://runbooks.example.com/model-sidecar/" $.Values.prometheusRule.runbookBaseUrl
    | replace "https://grafana.example.com/" $.Values.prometheusRule.grafanaBaseUrl }}
{{- $_ := set $files (base $path | trimSuffix ".yml" | replace "." "-") (fromYaml $text).groups }}
{{- end }}
{{- toYaml $files }}
{{- end }}

{{- /* A rule with what this site changes of it, or nothing if it is switched off. */ -}}
{{- define "model-sidecar.rule" -}}
{{- $change := get .alerts (get .rule "alert" | default "") | default dict }}
{{- if ne (get $change "enabled" | toString) "false" }}
{{- $rule := deepCopy .rule }}
{{- with $change.for }}{{ $_ := set $rule "for" . }}{{ end }}
{{- range $label := list "severity" "action" }}
{{- with get $change $label }}{{ $_ := set $rule.labels $label . }}{{ end }}
{{- end }}
{{- toYaml $rule }}
{{- end }}
{{- end }}
