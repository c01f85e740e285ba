{{- define "model-sidecar.certificateSecret" -}}
{{- $certificate := .Values.injector.certificate }}
{{- if eq $certificate.from "existing" }}{{ required "injector.certificate.secretName: the Secret with the certificate is needed for from: existing" $certificate.secretName }}{{ else }}{{ .Release.Name }}-injector-tls{{ end }}
{{- end }}

{{- /*
The self-made certificate as base64 in tls.crt, tls.key and ca.crt: that of the Secret where there is one, so that an
upgrade changes nothing; else a new one. It is made once for a rendering, since two files need it.
*/ -}}
{{- define "model-sidecar.selfMade" -}}
{{- if not (hasKey .Values.injector.certificate "made") }}
{{- $name := printf "%s-injector" .Release.Name }}
{{- $made := dict }}
{{- $there := lookup "v1" "Secret" .Release.Namespace (include "model-sidecar.certificateSecret" .) }}
{{- if and $there (hasKey ($there.data | default dict) "ca.crt") (hasKey $there.data "tls.crt") (hasKey $there.data "tls.key") }}
{{- $made = pick $there.data "ca.crt" "tls.crt" "tls.key" }}
{{- else }}
{{- $hosts := list (printf "%s.%s.svc" $name .Release.Namespace) (printf "%s.%s.svc.cluster.local" $name .Release.Namespace) }}
{{- $days := int .Values.injector.certificate.days }}
{{- $authority := genCA (printf "%s-authority" $name) $days }}
{{- $certificate := genSignedCert (first $hosts) nil $hosts $days $authority }}
{{- $made = dict "ca.crt" ($authority.Cert | b64enc) "tls.crt" ($certificate.Cert | b64enc) "tls.key" ($certificate.Key | b64enc) }}
{{- end }}
{{- $_ := set .Values.injector.certificate "made" $made }}
{{- end }}
{{- toYaml .Values.injector.certificate.made }}
{{- end }}
