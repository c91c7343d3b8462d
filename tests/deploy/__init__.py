"""What is shipped to install the exporter: the chart, the manifests, the image, and the rights they give."""
