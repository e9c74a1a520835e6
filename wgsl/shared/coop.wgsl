#define_import_path pixgrad::coop

// Cooperative matrices of T×T, factors in f16 and sums in f32, and workgroups of four subgroups.
// T8: matrices of 8×8, else of 16×16. LANES_8, LANES_64: subgroups of so many invocations, else of 32. Where the driver
// may choose smaller ones there are more than four: those compute what the first four do, and write the same.

#ifdef LANES_8
const LANES: u32 = 8u;
#else
#ifdef LANES_64
const LANES: u32 = 64u;
#else
const LANES: u32 = 32u;
#endif
#endif
const INVOCATIONS: u32 = 4u * LANES;

#ifdef T8
const T: u32 = 8u;
alias Left = coop_mat8x8<f16, A>;
alias Right = coop_mat8x8<f16, B>;
alias Product = coop_mat8x8<f32, C>;
#else
const T: u32 = 16u;
alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Product = coop_mat16x16<f32, C>;
#endif
