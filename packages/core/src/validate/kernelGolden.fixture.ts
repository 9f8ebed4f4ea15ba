// A few measured rows of each family of kernel tables, so that accuracy is guarded where the tables themselves are not at hand.
// Sources and licences of the tables: docs/cost-kernels.md.

export const GOLDEN_ROWS: readonly {
  readonly file: string;
  readonly columns: string;
  readonly rows: readonly string[];
}[] = [
  {
    file: "kernels/gemm/a100_sxm_bf16.csv",
    columns: "m,n,k,latency_us",
    rows: ["768,2048,256,10.398", "64,6144,512,9.1431", "2048,2048,51200,1731.5", "4,10240,12288,169.65"],
  },
  {
    file: "kernels/gemm/h100_sxm_bf16.csv",
    columns: "m,n,k,latency_us",
    rows: [
      "16,256,512,3.2587",
      "17,1536,768,3.7342",
      "1025,10240,128,11.509",
      "8,1024,12288,12.746",
      "16384,12288,16384,8534.3",
    ],
  },
  {
    file: "kernels/gemm/h100_sxm_fp8.csv",
    columns: "m,n,k,latency_us",
    rows: ["129,768,8192,28.872", "4,128,12288,11.743", "16,16384,2048,18.3"],
  },
  {
    file: "kernels/gemm/h200_sxm_fp8_block.csv",
    columns: "m,n,k,latency_us",
    rows: ["192,7168,4096,21.137", "192,512,16384,24.353"],
  },
  {
    file: "kernels/gemm/b200_sxm_bf16.csv",
    columns: "m,n,k,latency_us",
    rows: ["16,128,10240,5.9351", "192,16384,7168,46.006", "17,768,8192,8.3289"],
  },
  {
    file: "kernels/gemm/gb200_nvfp4.csv",
    columns: "m,n,k,latency_us",
    rows: ["8192,4096,1024,30.243", "2,16384,2048,10.014"],
  },
  {
    file: "kernels/gemm/l40s_bf16.csv",
    columns: "m,n,k,latency_us",
    rows: ["48,64,1536,3.6978", "129,8192,1024,26.596"],
  },
  {
    file: "kernels/gemm/mi300x_fp8_block.csv",
    columns: "m,n,k,latency_us",
    rows: ["78720,5120,2048,1982.2", "2176,3584,5120,122.04"],
  },
  {
    file: "kernels/gemm/mi355x_bf16.csv",
    columns: "m,n,k,latency_us",
    rows: ["1024,1536,7168,45.013", "1024,6144,12288,145.57"],
  },
  {
    file: "kernels/gemm_train/a100_pcie_bf16.csv",
    columns: "m,n,k,layout,accumulate,out_dtype,latency_us",
    rows: ["4096,128384,4096,TN,0,bf16,18513", "4096,768,4096,TN,0,bf16,107.92"],
  },
  {
    file: "kernels/gemm_train/b200_sxm_bf16.csv",
    columns: "m,n,k,layout,accumulate,out_dtype,latency_us",
    rows: ["4096,5120,102400,NN,0,bf16,4177.9", "2048,4096,16384,NN,0,bf16,266.71"],
  },
  {
    file: "kernels/attention_prefill/h100_sxm_bf16.csv",
    columns: "batch,seq,heads,kv_heads,head_dim,window,latency_us",
    rows: [
      "16,1024,16,16,128,0,322.37",
      "2,16,4,1,64,0,11.963",
      "4,128,32,32,128,0,18.347",
      "8,256,8,1,128,128,18.469",
    ],
  },
  {
    file: "kernels/attention_prefill/a100_sxm_bf16.csv",
    columns: "batch,seq,heads,kv_heads,head_dim,window,latency_us",
    rows: ["2,256,64,4,128,0,38.934", "32,64,16,1,128,0,28.349"],
  },
  {
    file: "kernels/attention_prefill/b200_sxm_fp8.csv",
    columns: "batch,seq,heads,kv_heads,head_dim,window,latency_us",
    rows: ["1,12288,8,8,256,0,457.43", "16,1024,64,8,64,0,344.34"],
  },
  {
    file: "kernels/attention_decode/h100_sxm_bf16.csv",
    columns: "batch,kv_len,heads,kv_heads,head_dim,window,latency_us",
    rows: ["32,131072,2,1,256,0,1422.1", "8,128,64,2,128,0,9.7744"],
  },
  {
    file: "kernels/attention_decode/l40s_fp8kv.csv",
    columns: "batch,kv_len,heads,kv_heads,head_dim,window,latency_us",
    rows: ["1,131072,8,2,128,0,37.939", "32,16384,4,1,256,0,375.14"],
  },
  {
    file: "kernels/attention_mla_prefill/h100_sxm_bf16.csv",
    columns: "batch,seq,heads,latency_us",
    rows: ["64,32,1,15.014"],
  },
  {
    file: "kernels/attention_mla_decode/b200_sxm_bf16.csv",
    columns: "batch,kv_len,heads,latency_us",
    rows: ["8,512,8,12.678"],
  },
  {
    file: "kernels/moe/h100_sxm_bf16.csv",
    columns: "tokens,hidden,inter,topk,experts,moe_tp,moe_ep,routing,latency_us",
    rows: ["64,3072,1024,8,256,1,2,balanced,830.48", "2,5120,8192,1,16,1,4,balanced,129.73"],
  },
  {
    file: "kernels/moe/b200_sxm_nvfp4.csv",
    columns: "tokens,hidden,inter,topk,experts,moe_tp,moe_ep,routing,latency_us",
    rows: ["256,7168,2048,8,256,1,128,balanced,47.765", "2048,5120,8192,1,16,4,1,balanced,92.843"],
  },
  {
    file: "kernels/moe/mi355x_aiter.csv",
    columns: "tokens,hidden,inter_local,experts_local,topk,act_dtype,weight_dtype,quant,latency_us",
    rows: ["2,7168,2048,32,8,fp4,fp4,per_1x32,57.754"],
  },
  {
    file: "kernels/elementwise/a100_sxm_fp16.csv",
    columns: "op,tokens,width,bytes,latency_us",
    rows: ["silu_mul,512,3456,10616832,10", "embedding,12288,4096,201326592,737"],
  },
];
