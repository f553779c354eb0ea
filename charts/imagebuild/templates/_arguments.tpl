{{- /* The command line of imagebuild-operator. */ -}}
{{- define "imagebuild.arguments" -}}
- --builder-image={{ include "imagebuild.image" (list . "builder") }}
- --stage-image={{ include "imagebuild.image" (list . "stage") }}
- --image-pull-policy={{ .Values.images.pullPolicy }}
{{- range .Values.watchNamespaces }}
- --namespace={{ . }}
{{- end }}
- --concurrency={{ .Values.concurrency }}
- --workers={{ .Values.workers }}
{{- if .Values.leaderElection.enabled }}
- --leader-elect
- --lease-name={{ .Values.leaderElection.leaseName }}
{{- end }}
- --metrics-port={{ .Values.metrics.port }}
{{- if .Values.reports.enabled }}
- --report-port={{ .Values.reports.port }}
{{- end }}
{{- if .Values.registries }}
- --registries=/etc/imagebuild/registries.yaml
{{- end }}
{{- with .Values.defaultCache }}
{{- with .claim }}
- --default-cache-claim={{ . }}
{{- end }}
{{- with .maxSize }}
- --default-cache-max-size={{ . }}
{{- end }}
{{- with .ttl }}
- --default-cache-ttl={{ . }}
{{- end }}
{{- with .registry }}
- --default-cache-registry={{ . }}
{{- end }}
{{- with .secretName }}
- --default-cache-secret={{ . }}
{{- end }}
{{- if .insecure }}
- --default-cache-insecure
{{- end }}
{{- end }}
{{- range $kind, $flag := dict "requests" "request" "limits" "limit" }}
{{- range $resource, $amount := index $.Values.builder.resources $kind }}
- --builder-{{ $resource }}-{{ $flag }}={{ $amount }}
{{- end }}
{{- end }}
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
{{- with .Values.extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end -}}
