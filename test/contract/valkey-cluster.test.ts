// The contract on a Valkey Cluster of three primaries.
import { describeContract } from './contract.ts'

describeContract('valkey-cluster')
