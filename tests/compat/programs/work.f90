! A sum by several threads.
program work
  integer :: i
  real(8) :: s
  s = 0
  !$omp parallel do reduction(+:s)
  do i = 1, 100000
    s = s + 1d0 / i
  end do
  print '(F12.8)', s
end program
