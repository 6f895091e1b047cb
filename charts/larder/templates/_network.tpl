{{/* Parts of network policies. Of (list $ COMPONENT…): peers that are pods of these components. */}}
{{- define "larder.peersOf" -}}
{{- $root := index . 0 -}}
{{- range rest . }}
- podSelector:
    matchLabels:
      {{- include "larder.selector" (list $root .) | nindent 6 }}
{{- end }}
{{- end }}

{{/* Of (dict "root" $ "port" PORT): who may read metrics. Probes come from the node, which no policy stops. */}}
{{- define "larder.metricsRule" -}}
{{- with .root.Values.networkPolicy.metricsFrom }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - {port: {{ $.port }}}
{{- end }}
{{- end }}

{{/* Policies see the port of the pod that answers, which is 5353 on OpenShift. */}}
{{- define "larder.dnsRule" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
    - {port: 5353, protocol: UDP}
    - {port: 5353, protocol: TCP}
{{- end }}
