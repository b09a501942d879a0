output "stream_name" {
  description = "Name of the stream."
  value       = aws_kinesis_firehose_delivery_stream.this.name
}
